"""Shared by the tests of mail: an authority, a relay for a server, an envelope."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from belong_mail.mail.smtp.connection import Relay
from tests.mail.hand import Hand
from tests.servers.smtp import Server

# Seconds for an answer: enough for a busy machine.
PATIENCE = 30.0


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def relay_at(server, patience: float) -> Relay:
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
def relay(server) -> Relay:
    return relay_at(server, PATIENCE)


@pytest.fixture(params=[True, False], ids=["pipelining", "step by step"])
def transport(request, relay: Relay) -> Iterator[Hand]:
    hand = Hand(replace(relay, pipelining=request.param))
    yield hand
    hand.close()
