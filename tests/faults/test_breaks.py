"""Connections that break at every verb, in every way."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import product as every
from typing import Any

import pytest

from tests.at_once import at_once
from tests.faults.conftest import Scenes
from tests.faults.scene import Scene
from tests.markers import in_turn, night, on_sqlite, one_by_day
from tests.servers.actions import Action, drip, drop, hang, reset, write
from tests.servers.manners import EXTENSIONS, SLOW

MEMBERS = 7
WAYS: dict[str, Action] = {
    "drop": drop(),
    "half a code": drop(b"25"),
    "half a line": drop(b"250 2.0"),
    "reset": reset,
    "garbage": write(b"hello\r\n"),
    "no reply": write(b"99 bottles\r\n"),
    "hang": hang(),
    "drip": drip("250 2.0.0 Ok" + "." * 40, 0.1),
}
# Breaks that a worker sees at once, and those it waits for.
WAITING = ("hang", "drip")
QUICK = [way for way in WAYS if way not in WAITING]
BRIEFLY = "connections=1&timeout=2&dot_timeout=2"
# So many workers at a time: more would be late for one another.
MOST = 8
BEFORE_THE_DOT = ["MAIL", "RCPT", "DATA"]
OPENING = ["CONNECT", "EHLO", "STARTTLS", "AUTH"]
BOTH_WAYS = pytest.mark.parametrize("extensions", [EXTENSIONS, SLOW], ids=["pipelining", "slow"])


@pytest.fixture
def patience(request: pytest.FixtureRequest) -> str:
    """Wait briefly for a relay that will not answer, and long for one that does."""
    way = request.node.callspec.params.get("way", "")
    seconds = 2 if way in {"hang", "drip"} else 20
    return f"connections=1&timeout={seconds}&dot_timeout={seconds}"


def send_all(scene: Scene, issue: str) -> None:
    """Let the relay be well again, and all that waits be due."""
    scene.relay.usual()
    scene.pass_time()
    scene.drain()
    assert not scene.books(issue)["queued"]


def check_opening(scene: Scene, verb: str, way: str) -> None:
    issue = scene.queue(MEMBERS)
    scene.relay.always(verb, WAYS[way])
    scene.drain()
    assert scene.filled(issue) == {"recipients": MEMBERS, "queued": MEMBERS}
    assert scene.relay.connections == 1
    send_all(scene, issue)
    assert scene.complaints(issue) == []
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS}


@one_by_day("faults", of="verb")
@on_sqlite
@pytest.mark.parametrize("is_secure", [True])
@pytest.mark.parametrize("way", QUICK)
@pytest.mark.parametrize("verb", OPENING)
def test_a_relay_that_cannot_be_opened_counts_against_nobody(
    verb: str, way: str, scene: Scene
) -> None:
    """All stay queued, nobody has had an attempt, and the relay is left alone."""
    check_opening(scene, verb, way)


def check_before_the_dot(scene: Scene, verb: str, way: str) -> None:
    issue = scene.queue(MEMBERS)
    scene.relay.script(verb, None, None, WAYS[way])
    scene.drain()
    send_all(scene, issue)
    assert scene.complaints(issue, breaks=way == "reset") == []
    assert scene.books(issue)["accepted"] == MEMBERS


@one_by_day("faults", of="verb")
@on_sqlite
@pytest.mark.parametrize(
    ("way", "verb", "extensions"), in_turn(QUICK, BEFORE_THE_DOT, [EXTENSIONS, SLOW])
)
def test_a_break_before_the_dot_makes_no_second_copy(verb: str, way: str, scene: Scene) -> None:
    """A reset may tear an answer out of the wire that was on its way: one may be uncertain."""
    check_before_the_dot(scene, verb, way)


def check_body(scene: Scene, verb: str, way: str) -> None:
    issue = scene.queue(MEMBERS)
    scene.relay.script(verb, None, None, WAYS[way])
    scene.drain()
    send_all(scene, issue)
    assert scene.complaints(issue, breaks=1) == []
    assert len(scene.copies()) == MEMBERS


@one_by_day("faults", of="way")
@BOTH_WAYS
@on_sqlite
@pytest.mark.parametrize("way", ["drop", "reset"])
def test_a_break_in_the_body_makes_no_second_copy(way: str, scene: Scene) -> None:
    """Whether its dot was on its way or not, the relay has taken nothing."""
    check_body(scene, "BODY", way)


@one_by_day("faults", of="database_url")
@pytest.mark.parametrize(
    ("way", "extensions", "database_url"),
    in_turn([*WAYS], [EXTENSIONS, SLOW], ["sqlite", "postgresql"]),
    indirect=["database_url"],
)
def test_a_break_after_the_dot_is_sent_again_once_and_shown(way: str, scene: Scene) -> None:
    issue = scene.queue(MEMBERS)
    scene.relay.script("DOT", None, None, WAYS[way])
    scene.drain()
    send_all(scene, issue)
    assert scene.complaints(issue, breaks=1) == []
    assert len(scene.copies()) == MEMBERS + 1
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS, "resent": 1}


def check_held(scene: Scene, verb: str, way: str) -> None:
    issue = scene.queue(MEMBERS)
    scene.relay.script(verb, None, None, WAYS[way])
    scene.drain()
    send_all(scene, issue)
    assert scene.complaints(issue, breaks=1) == []
    assert len(scene.copies()) == MEMBERS
    assert scene.books(issue)["uncertain"] == 1


@one_by_day("faults")
@on_sqlite
@pytest.mark.parametrize("settings", [{"BELONG_UNCERTAIN": "hold"}])
@pytest.mark.parametrize("way", QUICK)
def test_a_break_after_the_dot_is_held_where_that_is_the_setting(way: str, scene: Scene) -> None:
    """At most once, and said."""
    check_held(scene, "DOT", way)


def check_end(scene: Scene, verb: str, way: str) -> None:
    issue = scene.queue(MEMBERS)
    scene.relay.script("RCPT member3@dpsk12.org", "550 5.1.1 No such user")
    scene.relay.always(verb, WAYS[way])
    scene.drain()
    send_all(scene, issue)
    assert scene.complaints(issue, without=frozenset({"member3@dpsk12.org"})) == []
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS - 1, "bounced": 1}


@one_by_day("faults", of="verb")
@on_sqlite
@pytest.mark.parametrize(("verb", "way"), [*every(["QUIT", "RSET"], QUICK)])
def test_what_was_accepted_stays_accepted_however_the_talk_ends(
    verb: str, way: str, scene: Scene
) -> None:
    """The refused recipient makes a client say RSET, if it ever does."""
    check_end(scene, verb, way)


def waiting_trials(scenes: Scenes) -> Iterator[tuple[str, Callable[[], None]]]:
    """Go through the cells of the tests above in which the relay hangs or drips."""
    cells: list[tuple[Callable[[Scene, str, str], None], str, str, dict[str, Any]]] = [
        *((check_opening, *cell, {"is_secure": True}) for cell in every(OPENING, WAITING)),
        *(
            (check_before_the_dot, str(verb), str(way), {"extensions": extensions})
            for way, verb, extensions in in_turn(WAITING, BEFORE_THE_DOT, [EXTENSIONS, SLOW])
        ),
        *((check_body, "BODY", "hang", {"extensions": ways}) for ways in (EXTENSIONS, SLOW)),
        *((check_held, "DOT", way, {"uncertain": "hold"}) for way in WAITING),
        *((check_end, *cell, {}) for cell in every(["QUIT", "RSET"], WAITING)),
    ]
    for number, (check, verb, way, setting) in enumerate(cells):
        name = f"{number}-{check.__name__}-{verb}-{way}"
        yield name, partial(_try, scenes.make(name, BRIEFLY, **setting), check, verb, way)


def _try(
    making: AbstractContextManager[Scene], check: Callable[[Scene, str, str], None], *cell: str
) -> None:
    with making as scene:
        check(scene, *cell)


@night("faults")
def test_a_relay_that_hangs_or_drips_breaks_like_any_other(scenes: Scenes) -> None:
    """The same of each verb; some at a time, for each worker waits for two seconds."""
    at_once(dict(waiting_trials(scenes)), MOST)


@on_sqlite
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
def test_replies_that_nobody_asked_for_make_no_second_copy_and_no_false_success(
    verb: str, scene: Scene
) -> None:
    """An injected 250 must not be taken for the answer to the next dot."""
    issue = scene.queue(MEMBERS)
    scene.relay.script(verb, None, None, write(b"250 2.0.0 Ok\r\n250 2.0.0 Injected\r\n"))
    scene.drain()
    send_all(scene, issue)
    assert scene.complaints(issue, breaks=1) == []
