"""A report is about the delivery that its return path names, changes it once, and nothing else."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.delivery.models import Delivery, State
from belong_mail.members.models import Subscription
from tests.browser_client import link_to
from tests.database import query
from tests.db_dump import kept_of
from tests.inbound.mail import BROKEN_LIMIT, FULL, SPAM, UNKNOWN, apple, bounce, complaint, several
from tests.inbound.scenario import ADA
from tests.markers import on_both, on_sqlite
from tests.servers.actions import drop

BEN = "ben@dpsk12.org"


@pytest.mark.parametrize("why", [UNKNOWN, FULL, SPAM, BROKEN_LIMIT])
def test_an_accepted_copy_that_comes_back_has_bounced(why, scenario):
    scenario.add(ADA, BEN)
    issue = scenario.issue()
    assert scenario.books(issue) == {"recipients": 2, "accepted": 2}
    before = scenario.handed_over()
    scenario.send_back(why=why)
    assert scenario.books(issue) == {"recipients": 2, "accepted": 1, "bounced": 1}
    assert scenario.handed_over() == before, "the relay's day had counted it then"
    with scenario.services.reading.begin() as session:
        bounced = session.scalars(select(Delivery).where(Delivery.state == State.BOUNCED)).one()
        assert (bounced.enhanced, bounced.due_at) == (why[0], None)


@on_sqlite
@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
def test_a_copy_reported_as_delayed_or_delivered_has_not_bounced(action, scenario):
    issue, path = scenario.one_copy()
    scenario.take(path, bounce(path, ADA, ("4.4.1", "450 4.4.1 No answer"), action))
    assert scenario.books(issue) == {"recipients": 1, "accepted": 1}


@on_both("an insert of each dialect")
def test_a_report_that_comes_twice_counts_once(scenario):
    scenario.add(ADA)
    issue = scenario.issue()
    scenario.send_back()
    before = kept_of(scenario.services)
    scenario.send_back()
    assert kept_of(scenario.services) == before
    assert scenario.books(issue) == {"recipients": 1, "bounced": 1}


@on_sqlite
@pytest.mark.parametrize("write", [bounce, complaint])
def test_a_forged_report_about_somebodys_address_changes_nothing(write, scenario):
    _, path = scenario.one_copy()
    digit = "0" if path[20] != "0" else "1"
    before = kept_of(scenario.services)
    for forged in ("", ADA, "b+@example.org", path[:20] + digit + path[21:], path[:30]):
        message = bounce(forged, ADA) if write is bounce else complaint(forged)
        scenario.take(forged, message)
    assert kept_of(scenario.services) == before


GUESSES = tuple(f"guess{number}@dpsk12.org" for number in range(20))


@pytest.mark.parametrize("why", [UNKNOWN, SPAM])
def test_a_report_that_names_guesses_does_not_tell_whether_the_member_is_one(why, scenario):
    """A thief of the web's secret can sign any return path, and may read the database live."""
    scenario.add(ADA, BEN)
    for day in (0, 7, 7):
        scenario.pass_days(day)
        scenario.issue()
        for member, named in ((ADA, (*GUESSES[1:], ADA)), (BEN, GUESSES[1:])):
            path = scenario.copies(member)[-1].return_path
            scenario.take(path, several(path, named, why))
    with scenario.services.reading.begin() as session:
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


@on_both("claims")
def test_a_bounce_waits_until_the_resend_of_its_copy_has_ended(scenario, services):
    """Its first copy came back while the second was under way."""
    scenario.add(ADA)
    issue = scenario.issue()
    with services.writing.begin() as session:
        [delivery] = session.scalars(select(Delivery))
        delivery.state, delivery.claimed_by = State.SENDING, "somebody"
    path = scenario.copies()[0].return_path
    scenario.take(path, bounce(path, ADA))
    assert scenario.books(issue) == {"recipients": 1, "sending": 1}
    with services.writing.begin() as session:
        [waiting] = session.scalars(select(Job))
        assert now() < waiting.due_at < now() + timedelta(minutes=2)
        waiting.due_at = now()
        [delivery] = session.scalars(select(Delivery))
        delivery.state, delivery.claimed_by = State.ACCEPTED, None
    scenario.worker.drain()
    assert scenario.books(issue) == {"recipients": 1, "bounced": 1}


@on_sqlite
@pytest.mark.parametrize(("action", "state"), [("failed", "bounced"), ("delivered", "accepted")])
def test_a_report_settles_an_uncertain_copy(action, state, scenario):
    """A report proves that the message had left: nothing is sent a second time."""
    scenario.add(ADA)
    scenario.relay.script("DOT", drop())
    issue = scenario.issue()
    assert scenario.books(issue) == {"recipients": 1, "uncertain": 1}
    [copy] = scenario.copies()
    scenario.take(copy.return_path, bounce(copy.return_path, ADA, action=action))
    assert scenario.books(issue) == {"recipients": 1, state: 1}
    with scenario.services.writing.begin() as session:
        [delivery] = session.scalars(select(Delivery))
        assert delivery.due_at is None
    scenario.worker.drain()
    assert len(scenario.copies()) == 1


@on_sqlite
@pytest.mark.parametrize("write", [complaint, apple])
def test_a_complaint_or_an_unsubscribe_email_ends_only_that_membership(write, scenario):
    scenario.add(ADA, BEN)
    scenario.add(ADA, slug="asian")
    scenario.issue()
    path = scenario.copies()[0].return_path
    scenario.take(path, write(path))
    assert (scenario.members(), scenario.members("asian")) == (1, 1)
    scenario.issue("asian")
    assert len(scenario.copies()) == 2
    assert len(scenario.copies(BEN)) == 1


@on_sqlite
@pytest.mark.parametrize("kind", ["not-spam", "auth-failure", "miscategorized", "virus", "dmarc"])
def test_a_feedback_report_that_is_no_complaint_about_us_ends_no_membership(kind, scenario):
    _, path = scenario.one_copy()
    scenario.take(path, complaint(path, kind))
    assert scenario.members() == 1


@on_sqlite
@pytest.mark.parametrize(
    ("holds_it", "joins", "emails"), [(True, False, 1), (False, False, 2), (True, True, 4)]
)
def test_an_address_that_complains_about_a_confirmation_is_never_asked_again(
    holds_it, joins, emails, scenario, visitor
):
    """Somebody else typed the address: it is the same as “never mail me again”.

    An intruder in the web signs the return path of any delivery, and would then guess unheard: a
    complaint holds the email.
    """
    visitor.join("the-village", ADA)
    visitor.join("the-village", BEN)
    scenario.worker.drain()
    [asked], [other] = scenario.copies(), scenario.copies(BEN)
    if joins:  # they have asked themselves, and only leave
        visitor.follow(link_to(asked.message, "confirm"))
        scenario.worker.drain()
    message_id = (asked if holds_it else other).message["Message-ID"]
    scenario.take(asked.return_path, complaint(asked.return_path, message_id=message_id))
    scenario.worker.drain()
    for slug in ("the-village", "asian"):
        visitor.join(slug, ADA)
    scenario.worker.drain()
    assert len(scenario.copies()) == emails


@on_sqlite
def test_nothing_that_comes_back_is_answered(scenario):
    _, path = scenario.one_copy()
    for message in (bounce(path, ADA), complaint(path), apple(path), b"Subject: Hello\n\nAda?\n"):
        scenario.take(path, message)
    assert len(scenario.relay.accepted) == 1


def test_an_unreadable_report_is_put_aside_and_stops_nothing(scenario, caplog):
    issue, path = scenario.one_copy()
    with scenario.services.writing.begin() as session:
        session.add(Job(kind="return", sealed=b"not sealed"))
    for junk in (b"", b"\x00" * 1000, b"Content-Type: multipart/report\n" * 500, bytes(range(256))):
        scenario.take(path, junk)
    scenario.take(path, bounce(path, ADA))
    assert scenario.books(issue) == {"recipients": 1, "bounced": 1}
    assert [each.failures for each in query(scenario.services, select(Job))] == [3]
    assert "dpsk12.org" not in caplog.text
