"""Relays that waste our time: each step has an end, and the others get their copy."""

from itertools import count

import pytest

from tests.faults.scene import Scene
from tests.markers import on_sqlite
from tests.servers.actions import Action, Conversation, Over, drip, write

MEMBERS = 4
PATIENCE = pytest.mark.parametrize("patience", ["connections=1&timeout=2.5&dot_timeout=2.5"])
# Without an end of its own a tarpit holds us for ever, and pytest ends the test.
SOON = pytest.mark.timeout(120)


def endless_lines(conversation: Conversation) -> None:
    """Go on saying that there is more to come."""
    for _ in count():
        conversation.write(b"250-more\r\n")
        if conversation.stopping.wait(0.001):
            raise Over


TARPITS: dict[str, Action] = {
    "a byte at a time": drip("250 2.0.0 Ok" * 50, 0.2),
    "endless lines": endless_lines,
    "an endless line": write(b"250 " + b"a" * 100_000),
    "a long line": write(b"250 " + b"a" * 5_000 + b"\r\n"),
    "20,000 lines": write(b"250-more\r\n" * 20_000 + b"250 Ok\r\n"),
}


@SOON
@PATIENCE
@on_sqlite
@pytest.mark.parametrize("tarpit", TARPITS)
@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"])
def test_a_tarpit_before_the_dot_lets_go_and_costs_nobody_a_copy(
    verb: str, tarpit: str, scene: Scene
) -> None:
    issue = scene.queue(MEMBERS)
    scene.relay.script(verb, TARPITS[tarpit])
    for _ in range(2):
        scene.drain()
        scene.pass_time()
    assert scene.complaints(issue) == []
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS}


@SOON
@PATIENCE
@on_sqlite
@pytest.mark.parametrize("tarpit", TARPITS)
def test_a_tarpit_after_the_dot_is_an_answer_that_never_came(tarpit: str, scene: Scene) -> None:
    issue = scene.queue(MEMBERS)
    scene.relay.script("DOT", TARPITS[tarpit])
    for _ in range(2):
        scene.drain()
        scene.pass_time()
    assert scene.complaints(issue, breaks=1) == []
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS, "resent": 1}
