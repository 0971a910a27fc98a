"""A report is about the delivery that its return path names, changes it once, and nothing else."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services
from belong_mail.delivery.models import Delivery, State
from belong_mail.members.models import Subscription
from tests.browser_client import Visitor
from tests.db_dump import kept_of
from tests.markers import on_sqlite
from tests.returns.mail import BROKEN_LIMIT, FULL, SPAM, UNKNOWN, apple, bounce, complaint, several
from tests.returns.village import ADA, Village
from tests.servers.actions import drop

BEN = "ben@dpsk12.org"


@pytest.mark.parametrize("why", [UNKNOWN, FULL, SPAM, BROKEN_LIMIT])
def test_what_was_accepted_and_comes_back_has_bounced(
    why: tuple[str, str], village: Village
) -> None:
    village.enter(ADA, BEN)
    issue = village.issue()
    assert village.books(issue) == {"recipients": 2, "accepted": 2}
    before = village.handed_over()
    village.send_back(why=why)
    assert village.books(issue) == {"recipients": 2, "accepted": 1, "bounced": 1}
    assert village.handed_over() == before, "the relay's day had counted it then"
    with village.services.reading.begin() as session:
        bounced = session.scalars(select(Delivery).where(Delivery.state == State.BOUNCED)).one()
        assert (bounced.enhanced, bounced.due_at) == (why[0], None)


@on_sqlite
@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
def test_what_is_late_or_there_has_not_bounced(action: str, village: Village) -> None:
    village.enter(ADA)
    issue = village.issue()
    path = village.copies()[0].return_path
    village.take(path, bounce(path, ADA, ("4.4.1", "450 4.4.1 No answer"), action))
    assert village.books(issue) == {"recipients": 1, "accepted": 1}


def test_a_report_that_comes_twice_counts_once(village: Village) -> None:
    village.enter(ADA)
    issue = village.issue()
    village.send_back()
    before = kept_of(village.services)
    village.send_back()
    assert kept_of(village.services) == before
    assert village.books(issue) == {"recipients": 1, "bounced": 1}


@on_sqlite
def test_the_messages_own_headers_tell_where_no_return_path_is_given(village: Village) -> None:
    village.enter(ADA)
    issue = village.issue()
    path = village.copies()[0].return_path
    village.take("", bounce(path.upper(), ADA))
    assert village.books(issue) == {"recipients": 1, "bounced": 1}


@on_sqlite
@pytest.mark.parametrize("write", [bounce, complaint])
def test_a_forged_report_about_somebodys_address_changes_nothing(
    write: object, village: Village
) -> None:
    village.enter(ADA)
    village.issue()
    path = village.copies()[0].return_path
    digit = "0" if path[20] != "0" else "1"
    before = kept_of(village.services)
    for forged in ("", ADA, "b+@example.org", path[:20] + digit + path[21:], path[:30]):
        message = bounce(forged, ADA) if write is bounce else complaint(forged)
        village.take(forged, message)
    assert kept_of(village.services) == before


GUESSES = tuple(f"guess{number}@dpsk12.org" for number in range(20))


@pytest.mark.parametrize("why", [UNKNOWN, SPAM])
def test_a_report_that_names_guesses_does_not_tell_whether_the_member_is_one(
    why: tuple[str, str], village: Village
) -> None:
    """Who has the web's secret can sign any return path, and may read the database live."""
    village.enter(ADA, BEN)
    for day in (0, 7, 7):
        village.pass_days(day)
        village.issue()
        for member, named in ((ADA, (*GUESSES, ADA)), (BEN, GUESSES)):
            path = village.copies(member)[-1].return_path
            village.take(path, several(path, named, why))
    with village.services.reading.begin() as session:
        ada, ben = (
            [
                (each.state, each.code, each.enhanced, each.phrase, each.attempts)
                for each in session.scalars(select(Delivery).order_by(Delivery.id))
                if each.subscription_id == number
            ]
            for number in session.scalars(select(Subscription.id).order_by(Subscription.id))
        )
        ended = set(session.scalars(select(Subscription.is_unreachable)))
    assert ada == ben
    assert {state for state, *_ in ada} == {State.BOUNCED}
    assert len(ended) == 1


def test_a_mail_that_is_sent_once_more_when_its_bounce_comes_waits_for_its_end(
    village: Village, services: Services
) -> None:
    """Its first copy came back while the second was under way."""
    village.enter(ADA)
    issue = village.issue()
    with services.writing.begin() as session:
        [delivery] = session.scalars(select(Delivery))
        delivery.state, delivery.claimed_by = State.SENDING, "somebody"
    path = village.copies()[0].return_path
    village.take(path, bounce(path, ADA))
    assert village.books(issue) == {"recipients": 1, "sending": 1}
    with services.writing.begin() as session:
        [waiting] = session.scalars(select(Job))
        assert now() < waiting.due_at < now() + timedelta(minutes=2)
        waiting.due_at = now()
        [delivery] = session.scalars(select(Delivery))
        delivery.state, delivery.claimed_by = State.ACCEPTED, None
    village.worker.drain()
    assert village.books(issue) == {"recipients": 1, "bounced": 1}


@on_sqlite
@pytest.mark.parametrize(("action", "state"), [("failed", "bounced"), ("delivered", "accepted")])
def test_what_comes_back_settles_what_was_uncertain(
    action: str, state: str, village: Village
) -> None:
    """A report proves that the message had left: nothing is sent a second time."""
    village.enter(ADA)
    village.relay.script("DOT", drop())
    issue = village.issue()
    assert village.books(issue) == {"recipients": 1, "uncertain": 1}
    [copy] = village.copies()
    village.take(copy.return_path, bounce(copy.return_path, ADA, action=action))
    assert village.books(issue) == {"recipients": 1, state: 1}
    with village.services.writing.begin() as session:
        [delivery] = session.scalars(select(Delivery))
        assert delivery.due_at is None
    village.worker.drain()
    assert len(village.copies()) == 1


@on_sqlite
@pytest.mark.parametrize("write", [complaint, apple])
def test_who_complains_or_unsubscribes_by_mail_has_left_that_group(
    write: Callable[[str], bytes], village: Village
) -> None:
    village.enter(ADA, BEN)
    village.enter(ADA, slug="asian")
    village.issue()
    path = village.copies()[0].return_path
    village.take(path, write(path))
    assert (village.members(), village.members("asian")) == (1, 1)
    village.issue("asian")
    assert len(village.copies()) == 2
    assert len(village.copies(BEN)) == 1


@on_sqlite
@pytest.mark.parametrize("kind", ["not-spam", "auth-failure"])
def test_who_does_not_complain_about_us_stays(kind: str, village: Village) -> None:
    village.enter(ADA)
    village.issue()
    path = village.copies()[0].return_path
    village.take(path, complaint(path, kind))
    assert village.members() == 1


@on_sqlite
def test_who_complains_of_being_asked_is_never_asked_again(
    village: Village, visitor: Visitor
) -> None:
    """Somebody else typed the address: it is the same as “never mail me again”."""
    visitor.join("the-village", ADA)
    village.worker.drain()
    [asked] = village.copies()
    village.take(asked.return_path, complaint(asked.return_path))
    village.worker.drain()
    for slug in ("the-village", "asian"):
        visitor.join(slug, ADA)
    village.worker.drain()
    assert len(village.copies()) == 1


@on_sqlite
def test_nothing_that_comes_back_is_answered(village: Village) -> None:
    village.enter(ADA)
    village.issue()
    path = village.copies()[0].return_path
    for message in (bounce(path, ADA), complaint(path), apple(path), b"Subject: Hello\n\nAda?\n"):
        village.take(path, message)
    assert len(village.relay.accepted) == 1


def test_what_cannot_be_read_is_put_aside_and_stops_nothing(
    village: Village, caplog: pytest.LogCaptureFixture
) -> None:
    village.enter(ADA)
    issue = village.issue()
    path = village.copies()[0].return_path
    with village.services.writing.begin() as session:
        session.add(Job(kind="return", sealed=b"not sealed"))
    for junk in (b"", b"\x00" * 1000, b"Content-Type: multipart/report\n" * 500, bytes(range(256))):
        village.take(path, junk)
    village.take(path, bounce(path, ADA))
    assert village.books(issue) == {"recipients": 1, "bounced": 1}
    with village.services.reading.begin() as session:
        assert [each.failures for each in session.scalars(select(Job))] == [3]
    assert "dpsk12.org" not in caplog.text
