"""Shared by these tests: one scenario, and a command that is given bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor
from tests.scenario import VILLAGE, Scenario
from tests.servers.smtp import Server

Import = Callable[..., Any]


@pytest.fixture
def scenario(
    visitor: Visitor, worker: Worker, relay: Server, services: Services, keyring: Keyring
) -> Scenario:
    return Scenario(visitor, worker, relay, services, keyring)


@pytest.fixture
def bring(cli: Any, tmp_path: Path) -> Import:
    """Run the command on a file with some content."""

    def run(content: bytes | str, *options: str, slug: str = VILLAGE) -> Any:
        file = tmp_path / "list.csv"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return cli.invoke(args=["import", str(file), "--group", slug, *options])

    return run
