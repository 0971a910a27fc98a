"""Shared by tests of faults: a relay, and a scene around it."""

from collections.abc import Iterator
from typing import Any

import pytest

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from tests.faults.scene import Scene
from tests.servers.manners import EXTENSIONS
from tests.servers.smtp import Server
from tests.servers.tls import Authority

USER, PASSWORD = "belong", "s3cret"


@pytest.fixture
def extensions() -> tuple[str, ...]:
    """The extensions that the relay offers."""
    return EXTENSIONS


@pytest.fixture
def is_secure() -> bool:
    """Whether the relay wants TLS and a password."""
    return False


@pytest.fixture
def its_authority(request: pytest.FixtureRequest, *, is_secure: bool) -> Authority | None:
    """The authority that vouches for the relay."""
    return request.getfixturevalue("authority") if is_secure else None


@pytest.fixture
def relay(extensions: tuple[str, ...], its_authority: Authority | None) -> Iterator[Server]:
    """A relay, which wants TLS and a password where an authority vouches for it."""
    secure: dict[str, Any] = {}
    if its_authority is not None:
        context, users = its_authority.server(), {USER: PASSWORD}
        secure = {"tls": "starttls", "context": context, "users": users}
    with Server(extensions=extensions, **secure) as server:
        yield server


@pytest.fixture
def patience() -> str:
    """Time-outs and connections in the relay's URL."""
    return "timeout=20&dot_timeout=20"


@pytest.fixture
def environment(
    environment: dict[str, str], relay: Server, patience: str, its_authority: Authority | None
) -> dict[str, str]:
    """The settings, with the relay of these tests; what is uncertain is sent again at once."""
    where = f"127.0.0.1:{relay.port}"
    url = f"smtp://{where}?tls=none&{patience}"
    if its_authority is not None:
        url = f"smtp://{USER}:{PASSWORD}@{where}?ca={its_authority.file}&{patience}"
    return {
        **environment,
        "BELONG_SMTP_URL": url,
        "BELONG_UNCERTAIN": environment.get("BELONG_UNCERTAIN", "0"),
    }


@pytest.fixture
def scene(
    relay: Server, environment: dict[str, str], services: Services, keyring: Keyring
) -> Scene:
    return Scene(relay, environment, services, keyring)
