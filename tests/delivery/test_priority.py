"""Email that one person waits for overtakes an issue; recipients that hold others up come last."""

import threading
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import update

from belong_mail.core.db import now
from belong_mail.delivery import claims, outbox
from belong_mail.delivery.models import Delivery, State
from tests.database import execute
from tests.delivery.factories import books, deliveries, queue
from tests.factories import make_member, queue_issue
from tests.markers import on_sqlite
from tests.processes import SECONDS

MEMBERS = 1000


@pytest.mark.parametrize("deaths", [0, 1], ids=["well", "a worker died at it"])
def test_a_letter_to_one_overtakes_an_issue_that_is_on_its_way(
    worker, relay, services, keyring, deaths
):
    issue = queue(services, MEMBERS)
    may_go_on = relay.hold_after(100)
    running = threading.Thread(target=worker.drain)
    running.start()
    relay.wait_for(100)
    with services.writing.begin() as session:
        member = make_member(session, keyring, "new@dpsk12.org")
        outbox.post(session, "welcome-member", subscription_id=member.id)
        session.flush()
        single = update(Delivery).where(Delivery.newsletter_id.is_(None))
        session.execute(single.values(deaths=deaths))
    may_go_on.set()
    running.join(SECONDS)
    order = [one.recipient for one in relay.accepted]
    assert order.index("new@dpsk12.org") < MEMBERS * 3 // 4
    assert books(services, issue) == {"recipients": MEMBERS, "accepted": MEMBERS}


@on_sqlite
@pytest.mark.one_connection
def test_a_confirmation_that_somebody_waits_for_overtakes_welcome_emails(
    worker, relay, services, keyring, visitor
):
    with services.writing.begin() as session:
        for each in range(30):
            member = make_member(session, keyring, f"member{each}@dpsk12.org")
            outbox.post(session, "welcome-member", subscription_id=member.id)
    visitor.join("the-village", "new@dpsk12.org")
    worker.drain()
    first, *others = [one.recipient for one in relay.accepted]
    assert (first, len(others)) == ("new@dpsk12.org", 30)


@on_sqlite
def test_no_more_is_claimed_than_asked_for_whatever_kinds_are_due(services, keyring):
    with services.writing.begin() as session:
        member = make_member(session, keyring, "ada@dpsk12.org")
        for kind in ("confirm-subscription", "welcome-member", "welcome-member"):
            outbox.post(session, kind, subscription_id=member.id)
        assert len(claims.claim_due(session, "me", 2)) == 2


@on_sqlite
def test_a_reply_resets_a_deliverys_count_of_worker_deaths(worker, relay, services):
    """Six workers may be killed in the years in which somebody's mailbox is full now and then."""
    queue(services)
    relay.always("RCPT", "450 4.2.1 Later")
    worker.drain()
    execute(services, update(Delivery).values(deaths=5, due_at=Delivery.created_at))
    worker.drain()
    [delivery] = deliveries(services)
    assert (delivery.state, delivery.deaths) == (State.DEFERRED, 0)


def test_a_copy_at_which_a_worker_died_is_claimed_alone_with_nothing_else_in_hand(
    worker, relay, services
):
    queue(services, 3)
    relay.always("RCPT", "450 4.2.1 Later")
    worker.drain()
    [suspect, *others] = [one.id for one in deliveries(services)]
    with services.writing.begin() as session:
        session.execute(update(Delivery).values(due_at=Delivery.created_at))
        session.execute(update(Delivery).where(Delivery.id == suspect).values(deaths=1))
        taking = session, "me", worker._issue_mailer, 70
        [newer, older] = others
        earlier = now() - timedelta(minutes=1)
        session.execute(update(Delivery).where(Delivery.id == older).values(due_at=earlier))
        expected = ([older, newer], None)
        assert claims.claim_next(*taking, is_free=False) == expected
        session.execute(update(Delivery).values(deaths=1, due_at=earlier, state=State.DEFERRED))
        for issue in (Delivery.newsletter_id, None):
            session.execute(update(Delivery).values(newsletter_id=issue))
            assert claims.claim_next(*taking, is_free=False) == ([], None)
        assert claims.claim_next(*taking, is_free=True) == ([suspect], None)


@on_sqlite
@pytest.mark.parametrize("verb", ["RCPT", "DATA", "DOT"])
def test_a_recipient_at_whom_the_relay_always_closes_delays_the_others_only_once(
    worker, relay, services, keyring, verb
):
    """Then it is put off, ever longer and at last for good, like a mailbox that is full."""
    queue(services, 3)
    relay.always(f"{verb} member0@dpsk12.org", "421 4.3.2 Closing")
    with time_machine.travel(now(), tick=False) as clock:
        worker.drain()
        for _ in range(2):
            clock.shift(timedelta(minutes=2))
            worker.drain()
        states = [one.state for one in deliveries(services)]
        assert states == [State.DEFERRED, State.ACCEPTED, State.ACCEPTED]
        with services.writing.begin() as session:
            make_member(session, keyring, "new@dpsk12.org", "lgbtq")
            queue_issue(session, "lgbtq")
        worker.drain()
        assert "new@dpsk12.org" in [one.recipient for one in relay.accepted]


@on_sqlite
def test_a_recipient_whose_reply_is_about_us_is_retried_after_the_others(worker, relay, services):
    queue(services, 3)
    relay.script("RCPT member0@dpsk12.org", "421 4.3.0 Try again later")
    worker.drain()
    first, *others = [one.due_at for one in deliveries(services)]
    assert first is not None
    assert all(other is not None and other < first for other in others)
