"""What the tests of mail share: an authority, a relay for a server, an envelope."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from belong_mail.mail.connection import Relay
from tests.mail.hand import Hand
from tests.servers.smtp import Server
from tests.servers.tls import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def relay(server: Server) -> Relay:
    """A relay that loses patience soon."""
    return Relay(
        scheme="smtp",
        host="127.0.0.1",
        port=server.port,
        ehlo="belong.example.org",
        tls="none",
        timeout=0.6,
        dot_timeout=0.9,
    )


@pytest.fixture(params=[True, False], ids=["pipelining", "step by step"])
def transport(request: pytest.FixtureRequest, relay: Relay) -> Iterator[Hand]:
    hand = Hand(replace(relay, pipelining=request.param))
    yield hand
    hand.close()
