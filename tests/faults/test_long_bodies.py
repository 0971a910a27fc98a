"""Bodies that no buffer holds, broken off in the middle: no relay can have taken them."""

import os

import pytest

from belong_mail.core.db import now
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Image
from belong_mail.newsletters.release import release
from tests.factories import group_named, make_members
from tests.markers import in_turn, on_sqlite, one_by_day
from tests.servers.actions import Action, drop, hang, reset
from tests.servers.conversation import EXTENSIONS, SLOW
from tests.servers.smtp import Server

# Octets: a third more in the mail, which is more than both sides' kernels keep: 4 MB of what is
# sent (tcp_wmem), and little of what is to be read.
PICTURE = 4_000_000
pytestmark = pytest.mark.parametrize("patience", ["connections=1&timeout=12&dot_timeout=20"])
WAYS: dict[str, Action] = {"drop": drop(), "reset": reset, "hang": hang()}


@pytest.fixture
def relay(relay) -> Server:
    relay.keep_little()
    return relay


def queue(scene, members: int) -> str:
    """Queue an issue with a picture that is much too large."""
    with scene.services.writing.begin() as session:
        make_members(session, scene.keyring, members)
        issue = newsletters.draft(session, group_named(session, "the-village"), "Pictures", "Hello")
        picture = Image(
            newsletter_id=issue.id,
            description="A garden",
            media_type="image/jpeg",
            content=os.urandom(PICTURE),
            width=100,
            height=100,
        )
        session.add(picture)
        session.flush()
        issue.text = {"en": f"{issue.text['en']}\n\n{picture.source}"}
        session.flush()
        session.refresh(issue)
        release(session, issue, now())
    scene.issues[issue.public_id] = members
    return issue.public_id


@one_by_day("faults")
@pytest.mark.parametrize(
    ("way", "extensions", "database_url"),
    in_turn([*WAYS], [EXTENSIONS, SLOW], ["sqlite", "postgresql"]),
    indirect=["database_url"],
)
def test_breaks_within_long_bodies_lose_nothing_and_make_no_second_copy(way, scene):
    """However many there are: none is uncertain, and none is sent again because of doubt."""
    issue = queue(scene, 1)
    scene.relay.always("BODY", WAYS[way])
    for _ in range(3):
        scene.drain()
        books = scene.filled(issue)
        assert set(books) <= {"recipients", "queued", "deferred"}, books
        scene.pass_time()
    assert scene.relay.commands.count("DATA") >= 3
    assert scene.copies() == []
    scene.relay.usual()
    scene.drain()
    scene.pass_time()
    scene.drain()
    assert scene.complaints(issue) == []
    assert scene.filled(issue) == {"recipients": 1, "accepted": 1}


@one_by_day("faults")
@on_sqlite
@pytest.mark.parametrize("extensions", [EXTENSIONS, SLOW], ids=["pipelining", "slow"])
def test_a_worker_killed_within_a_long_body_doubles_nothing(scene):
    """The journal has no dot of it."""
    issue = queue(scene, 2)
    assert scene.kill_worker("BODY") == -9
    assert scene.finish() == "Nothing is waiting."
    assert scene.complaints(issue) == []
    assert scene.filled(issue) == {"recipients": 2, "accepted": 2}


def nap(conversation) -> None:
    conversation.stopping.wait(4.0)


@one_by_day("faults")
@on_sqlite
@pytest.mark.parametrize("extensions", [EXTENSIONS, SLOW], ids=["pipelining", "slow"])
def test_a_long_body_has_time_for_as_long_as_it_moves(scene):
    """RFC 5321, 4.5.3.2.5: the time-out is of each block, here 7.2 seconds."""
    issue = queue(scene, 2)
    scene.relay.script("BODY", nap, *[None] * 30, nap)
    scene.drain()
    assert scene.complaints(issue) == []
    assert scene.filled(issue) == {"recipients": 2, "accepted": 2}
    assert scene.relay.connections == 1
