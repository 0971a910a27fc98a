"""Relays that waste our time: each step has an end, and the others get their copy."""

from functools import partial
from itertools import count, product

import pytest

from tests.at_once import at_once
from tests.faults.conftest import Scenes
from tests.faults.scene import Scene
from tests.markers import night, on_sqlite, one_by_day
from tests.servers.actions import Action, Conversation, Over, drip, write

MEMBERS = 4
PATIENTLY = "connections=1&timeout=2.5&dot_timeout=2.5"
PATIENCE = pytest.mark.parametrize("patience", [PATIENTLY])
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


# Servers that hold us until we give up.
LONG = ("a byte at a time", "endless lines")
SHORT = [tarpit for tarpit in TARPITS if tarpit not in LONG]
BEFORE_THE_DOT = ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"]
# So many workers at a time: more would be late for one another.
MOST = 6


def check(scene: Scene, verb: str, tarpit: str) -> None:
    issue = scene.queue(MEMBERS)
    scene.relay.script(verb, TARPITS[tarpit])
    for _ in range(2):
        scene.drain()
        scene.pass_time()
    is_lost = verb == "DOT"
    assert scene.complaints(issue, breaks=is_lost) == []
    resent = {"resent": 1} if is_lost else {}
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS, **resent}


@one_by_day("faults", of="verb")
@SOON
@PATIENCE
@on_sqlite
@pytest.mark.parametrize("tarpit", SHORT)
@pytest.mark.parametrize("verb", BEFORE_THE_DOT)
def test_a_tarpit_before_the_dot_lets_go_and_costs_nobody_a_copy(
    verb: str, tarpit: str, scene: Scene
) -> None:
    check(scene, verb, tarpit)


@one_by_day("faults")
@SOON
@PATIENCE
@on_sqlite
@pytest.mark.parametrize("tarpit", SHORT)
def test_a_tarpit_after_the_dot_is_an_answer_that_never_came(tarpit: str, scene: Scene) -> None:
    check(scene, "DOT", tarpit)


@night("faults")
@SOON
def test_a_tarpit_that_holds_us_for_long_is_like_any_other(scenes: Scenes) -> None:
    """Before and after the dot; some at a time, for each worker waits for seconds."""

    def attempt(verb: str, tarpit: str) -> None:
        with scenes.make(f"{verb} {tarpit}", PATIENTLY) as scene:
            check(scene, verb, tarpit)

    cells = product([*BEFORE_THE_DOT, "DOT"], LONG)
    at_once({" ".join(cell): partial(attempt, *cell) for cell in cells}, MOST)
