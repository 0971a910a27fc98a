"""Shared by these tests: a command that is given bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenario import VILLAGE

Import = Callable[..., Any]


@pytest.fixture
def bring(cli: Any, tmp_path: Path) -> Import:
    """Run the command on a file with some content."""

    def run(content: bytes | str, *options: str, slug: str = VILLAGE) -> Any:
        file = tmp_path / "list.csv"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return cli.invoke(args=["import", str(file), "--group", slug, *options])

    return run
