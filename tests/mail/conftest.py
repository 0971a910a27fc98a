"""Shared by the tests of mail: an authority, a relay for a server, an envelope."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from belong_mail.mail.smtp.connection import Relay
from tests.mail.hand import Hand
from tests.servers.smtp import Server
from tests.servers.tls import Authority

SLOW = ("hang", "drip", "a slow drip")
# Seconds for an answer of a server that hangs.
IMPATIENCE = 2.0


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def patience(request: pytest.FixtureRequest) -> float:
    """Seconds for an answer: few where the server hangs, enough for a busy machine elsewhere."""
    params = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    return IMPATIENCE if params.get("fault") in SLOW else 15.0


def relay_at(server: Server, patience: float) -> Relay:
    return Relay(
        scheme="smtp",
        host="127.0.0.1",
        port=server.port,
        ehlo="belong.example.org",
        tls="none",
        timeout=patience,
        dot_timeout=1.5 * patience,
    )


@pytest.fixture
def relay(server: Server, patience: float) -> Relay:
    return relay_at(server, patience)


@pytest.fixture(params=[True, False], ids=["pipelining", "step by step"])
def transport(request: pytest.FixtureRequest, relay: Relay) -> Iterator[Hand]:
    hand = Hand(replace(relay, pipelining=request.param))
    yield hand
    hand.close()
