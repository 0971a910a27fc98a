"""Connections that break at every verb, in every way: nothing is lost, and doubt is shown.

What hangs or drips, tarpits and odd announcements are tried in tests/mail/test_dialogue.py.
"""

import pytest

from tests.faults.scene import Scene
from tests.markers import in_turn, on_sqlite, one_by_day
from tests.servers.actions import Action, drop, reset, write
from tests.servers.manners import EXTENSIONS, SLOW

MEMBERS = 7
WAYS: dict[str, Action] = {
    "drop": drop(),
    "half a code": drop(b"25"),
    "half a line": drop(b"250 2.0"),
    "reset": reset,
    "garbage": write(b"hello\r\n"),
    "no reply": write(b"99 bottles\r\n"),
}
ENDED = [("drop", "BODY", EXTENSIONS), ("reset", "BODY", SLOW)]


@pytest.fixture
def patience() -> str:
    return "connections=1&timeout=20&dot_timeout=20"


def send_all(scene: Scene, issue: str) -> None:
    """Let the relay be well again, and all that waits be due."""
    scene.relay.usual()
    scene.pass_time()
    scene.drain()
    assert not scene.books(issue)["queued"]


@one_by_day("faults", of="verb")
@on_sqlite
@pytest.mark.parametrize(
    ("way", "verb", "extensions"),
    [*in_turn([*WAYS], ["MAIL", "RCPT", "DATA"], [EXTENSIONS, SLOW]), *ENDED],
)
def test_a_break_before_the_dot_makes_no_second_copy(verb, way, scene):
    """A reset may tear an answer out of the wire that was on its way: one may be uncertain.

    So may one whose body broke off: whether its dot was on its way or not, nothing was taken.
    """
    issue = scene.queue(MEMBERS)
    scene.relay.script(verb, None, None, WAYS[way])
    scene.drain()
    send_all(scene, issue)
    assert scene.complaints(issue, breaks=way == "reset" or verb == "BODY") == []
    assert scene.books(issue)["accepted"] == MEMBERS
    assert verb != "BODY" or len(scene.copies()) == MEMBERS


@one_by_day("faults", of="database_url")
@pytest.mark.parametrize(
    ("way", "extensions", "database_url"),
    in_turn([*WAYS], [EXTENSIONS, SLOW], ["sqlite", "postgresql"]),
    indirect=["database_url"],
)
def test_a_break_after_the_dot_is_sent_again_once_and_shown(way, scene):
    issue = scene.queue(MEMBERS)
    scene.relay.script("DOT", None, None, WAYS[way])
    scene.drain()
    send_all(scene, issue)
    assert scene.complaints(issue, breaks=1) == []
    assert len(scene.copies()) == MEMBERS + 1
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS, "resent": 1}
