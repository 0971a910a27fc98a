"""kill -9 at every step: nothing is lost, and only an answer that was lost makes a second copy."""

import pytest
from sqlalchemy import select

from belong_mail.delivery.models import Delivery
from belong_mail.delivery.retry import MAX_DEATHS
from tests.database import query
from tests.faults.scene import CONNECTIONS
from tests.markers import in_turn, on_sqlite, one_by_day
from tests.servers.conversation import EXTENSIONS, SLOW

ONE_CONNECTION = pytest.mark.parametrize("patience", ["connections=1&timeout=20&dot_timeout=20"])
WAYS = [EXTENSIONS, SLOW]
MOMENTS = ["MAIL", "after MAIL", "RCPT", "after RCPT", "DATA", "after DATA"]
MEMBERS = 12


def kill_once(scene, moment: str, nth: int = 1) -> str:
    """Let a worker die, and another do the rest; return the issue."""
    issue = scene.queue(MEMBERS)
    assert scene.kill_worker(moment, nth) == -9
    assert scene.finish() == "Nothing is waiting."
    return issue


@one_by_day("faults", of="moment")
@ONE_CONNECTION
@on_sqlite
@pytest.mark.parametrize("is_secure", [True])
@pytest.mark.parametrize("moment", ["EHLO", "STARTTLS", "after STARTTLS", "AUTH", "after AUTH"])
def test_a_worker_killed_before_the_first_mail_costs_nothing(moment, scene):
    issue = kill_once(scene, moment)
    assert scene.complaints(issue) == []
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS}


@one_by_day("faults", of="moment")
@ONE_CONNECTION
@on_sqlite
@pytest.mark.parametrize(("moment", "nth", "extensions"), in_turn(MOMENTS, [1, 7], WAYS))
def test_a_worker_killed_before_the_dot_doubles_nothing(moment, nth, extensions, scene):
    """With pipelining, the last answer may be unread, and the commands that follow.

    And after the answer to DATA the dot may be out before the kill is.
    """
    issue = kill_once(scene, moment, nth)
    is_unread = nth > 1 and "PIPELINING" in extensions
    assert scene.complaints(issue, breaks=is_unread or moment == "after DATA") == []


@one_by_day("faults", of="moment")
@ONE_CONNECTION
@pytest.mark.parametrize(
    ("moment", "extensions", "database_url"),
    in_turn(["DOT", "after DOT"], WAYS, ["sqlite", "postgresql"]),
    indirect=["database_url"],
)
def test_a_worker_killed_after_the_dot_doubles_one_at_most(moment, scene):
    issue = kill_once(scene, moment, 7)
    assert scene.complaints(issue, breaks=1) == []


@one_by_day("faults")
@on_sqlite
@pytest.mark.parametrize("moment", ["BODY", "DOT", "after DOT", "QUIT"])
def test_a_worker_killed_with_all_its_connections_doubles_one_on_each_at_most(moment, scene):
    issue = scene.queue(30)
    scene.kill_worker(moment, 3, "--drain")
    assert scene.finish() == "Nothing is waiting."
    assert scene.complaints(issue, breaks=CONNECTIONS) == []


@ONE_CONNECTION
@pytest.mark.parametrize("settings", [{"BELONG_UNCERTAIN": "hold"}])
def test_a_copy_that_a_killed_worker_left_uncertain_is_shown_and_waits(scene):
    """A second copy is a choice; without it nobody gets two."""
    issue = scene.queue(MEMBERS)
    scene.kill_worker("DOT", 7)
    scene.finish()
    assert scene.complaints(issue, breaks=1) == []
    assert scene.filled(issue) == {
        "recipients": MEMBERS, "accepted": MEMBERS - 1, "uncertain": 1,
    }  # fmt: skip
    assert len(scene.copies()) == MEMBERS


@ONE_CONNECTION
@on_sqlite
def test_a_recipient_at_whom_every_worker_dies_is_put_aside_and_the_rest_goes_on(scene):
    issue = scene.queue(MEMBERS)
    for _ in range(MAX_DEATHS):
        scene.kill_worker("RCPT member3@dpsk12.org", 1, "--drain")
    suspects = query(scene.services, select(Delivery.deaths).where(Delivery.deaths > 0))
    assert sorted(suspects) == [MAX_DEATHS - 1], "who only waited is not suspected"
    scene.drain()
    books = scene.books(issue)
    assert (books["accepted"], books["failed"]) == (MEMBERS - 1, 1)


@ONE_CONNECTION
@on_sqlite
def test_nobody_is_put_aside_for_deaths_before_their_mail_was_begun(scene):
    """As when a machine is short of memory whenever a connection opens."""
    issue = scene.queue(1)
    for _ in range(MAX_DEATHS):
        assert scene.kill_worker("EHLO", 1, "--drain") == -9
    scene.drain()
    assert scene.filled(issue) == {"recipients": 1, "accepted": 1}
