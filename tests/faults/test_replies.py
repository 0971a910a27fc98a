"""Every kind of refusal at every verb: what is about us costs nobody a copy."""

import pytest

from tests.faults.scene import Scene
from tests.markers import in_turn, on_sqlite, one_by_day
from tests.servers.manners import EXTENSIONS, SLOW

CODES = ["421", "450", "451", "452", "454", "500", "501", "503", "530", "535", "550", "552", "554"]
# 503 to AUTH says that we are logged in already (RFC 4954, 4).
OF_US = [
    (verb, code)
    for verb in ("CONNECT", "EHLO", "STARTTLS", "AUTH")
    for code in CODES
    if (verb, code) != ("AUTH", "503")
]
PATIENCE = pytest.mark.parametrize("patience", ["connections=1&timeout=20&dot_timeout=20"])
MEMBERS = 5
UNLUCKY = "member2@dpsk12.org"


def recover(scene: Scene) -> None:
    """Twice: what one refusal held back may have been put off itself."""
    scene.relay.usual()
    for _ in range(2):
        scene.pass_time()
        scene.drain()


@one_by_day("faults", of="verb")
@PATIENCE
@on_sqlite
@pytest.mark.parametrize("is_secure", [True])
@pytest.mark.parametrize(("verb", "code"), OF_US)
def test_a_refusal_of_us_leaves_all_queued(verb: str, code: str, scene: Scene) -> None:
    issue = scene.queue(MEMBERS)
    scene.relay.always(verb, f"{code} Not now")
    scene.drain()
    assert scene.filled(issue) == {"recipients": MEMBERS, "queued": MEMBERS}
    assert scene.relay.connections == 1
    recover(scene)
    assert scene.complaints(issue) == []
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS}


@one_by_day("faults")
@PATIENCE
@on_sqlite
@pytest.mark.parametrize("code", CODES)
def test_a_refusal_of_our_return_path_costs_nobody_a_copy(code: str, scene: Scene) -> None:
    """But for what says that the message itself is too large or unwelcome (552, 554)."""
    issue = scene.queue(MEMBERS)
    scene.relay.script("MAIL", None, None, f"{code} Not from you")
    scene.drain()
    recover(scene)
    books = scene.filled(issue)
    assert books.get("bounced", 0) == 0
    assert len(scene.copies()) >= MEMBERS - (code in {"552", "554"})
    missing = frozenset(f"member{n}@dpsk12.org" for n in range(MEMBERS)) - {
        copy.recipient for copy in scene.copies()
    }
    assert scene.complaints(issue, without=missing) == []


@one_by_day("faults", of="verb")
@PATIENCE
@on_sqlite
@pytest.mark.parametrize(
    ("code", "verb", "extensions"), in_turn(CODES, ["RCPT", "DATA", "DOT"], [EXTENSIONS, SLOW])
)
def test_a_refusal_of_one_recipient_or_message_stops_nobody_else(
    verb: str, code: str, scene: Scene
) -> None:
    """Without words that say so, it is not the address that is to blame: none is suppressed."""
    issue = scene.queue(MEMBERS)
    scene.relay.script(f"{verb} {UNLUCKY}", f"{code} No")
    scene.drain()
    recover(scene)
    has_copy = UNLUCKY in {copy.recipient for copy in scene.copies()}
    assert scene.complaints(issue, without=frozenset([UNLUCKY] * (not has_copy))) == []
    books = scene.filled(issue)
    assert books["accepted"] == MEMBERS - (not has_copy)
    assert has_copy or books["failed"] == 1
    assert has_copy or code[0] == "5"


@one_by_day("faults", of="state")
@PATIENCE
@pytest.mark.parametrize(
    ("verb", "reply", "state"),
    [
        ("RCPT", "550 5.1.1 <member2@dpsk12.org>: User unknown", "bounced"),
        ("DOT", "550 5.1.1 User unknown", "bounced"),
        ("RCPT", "552 5.2.2 Mailbox full", "failed"),
        ("DATA", "554 5.7.1 Spam", "failed"),
        ("DOT", "554 5.7.1 Spam", "failed"),
    ],
)
def test_a_final_answer_is_final(verb: str, reply: str, state: str, scene: Scene) -> None:
    issue = scene.queue(MEMBERS)
    scene.relay.always(f"{verb} {UNLUCKY}", reply)
    scene.drain()
    scene.pass_time()
    scene.drain()
    assert scene.complaints(issue, without=frozenset({UNLUCKY})) == []
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS - 1, state: 1}
    assert len([one for one in scene.relay.refused if one.recipient == UNLUCKY]) == 1


@one_by_day("faults")
@PATIENCE
@on_sqlite
@pytest.mark.parametrize("uninvited", ["503 5.5.1 No recipients", "554 5.5.1 None", "354 Go"])
def test_a_relay_that_refuses_a_recipient_but_goes_on_gets_no_message(
    uninvited: str, scene: Scene
) -> None:
    """RFC 2920, 3.1: DATA may have been sent already, and a 354 to it wants a lone dot."""
    issue = scene.queue(MEMBERS)
    scene.relay.always(f"RCPT {UNLUCKY}", "550 5.1.1 User unknown")
    scene.relay.always("DATA UNINVITED", uninvited)
    scene.drain()
    assert scene.complaints(issue, without=frozenset({UNLUCKY})) == []
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS - 1, "bounced": 1}
