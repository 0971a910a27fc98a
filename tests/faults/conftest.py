"""Shared by tests of faults: a relay, and a scene around it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.scene import Scene
from tests.servers.conversation import EXTENSIONS
from tests.servers.smtp import Server

USER, PASSWORD = "belong", "s3cret"


@pytest.fixture
def extensions() -> tuple[str, ...]:
    return EXTENSIONS


@pytest.fixture
def is_secure() -> bool:
    return False


@pytest.fixture
def relay(extensions: tuple[str, ...], request, *, is_secure: bool) -> Iterator[Server]:
    secure: dict[str, Any] = {}
    if is_secure:
        context = request.getfixturevalue("authority").server()
        secure = {"tls": "starttls", "context": context, "users": {USER: PASSWORD}}
    with Server(extensions=extensions, **secure) as server:
        yield server


@pytest.fixture
def patience() -> str:
    return "timeout=20&dot_timeout=20"


@pytest.fixture
def environment(environment, relay, patience: str, request, *, is_secure: bool) -> dict[str, str]:
    """The settings, with the relay of these tests; what is uncertain is sent again at once."""
    where = f"127.0.0.1:{relay.port}"
    url = f"smtp://{where}?tls=none&{patience}"
    if is_secure:
        ca = request.getfixturevalue("authority").file
        url = f"smtp://{USER}:{PASSWORD}@{where}?ca={ca}&{patience}"
    return {
        **environment,
        "BELONG_SMTP_URL": url,
        "BELONG_UNCERTAIN": environment.get("BELONG_UNCERTAIN", "0"),
    }


@pytest.fixture
def scene(relay, environment, services, keyring) -> Scene:
    return Scene(relay, environment, services, keyring)
