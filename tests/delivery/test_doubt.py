"""Uncertain copies: nothing that is decided later makes it certain, or lets it leave twice."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import delete, select

from belong_mail.core.db import now
from belong_mail.delivery import claims, outcomes, results, retry
from belong_mail.delivery.journal import JournalEntry
from belong_mail.delivery.models import State
from belong_mail.delivery.worker_lock import WorkerLock
from belong_mail.members import service as members
from belong_mail.members.models import Subscription
from belong_mail.newsletters import release
from belong_mail.newsletters.models import Newsletter
from tests.database import execute
from tests.delivery.factories import books, deliveries, queue
from tests.markers import on_both
from tests.servers.smtp import drop

Clock = time_machine.Traveller
# By then what is in doubt is sent once more.
LATER = timedelta(minutes=16)


@pytest.fixture
def uncertain_issue(clock, worker, relay, services) -> int:
    """Return an issue whose only copy was taken, though its answer never came."""
    issue = queue(services)
    relay.script("DOT", drop())
    worker.drain()
    assert books(services, issue) == {"recipients": 1, "uncertain": 1}
    clock.shift(timedelta(seconds=1))
    return issue


@pytest.mark.usefixtures("uncertain_issue")
def test_a_copy_whose_resend_fails_stays_uncertain_since_its_answer_was_lost(
    clock, worker, relay, services
):
    """So its member can be erased, and what comes back of it is understood."""
    [before] = deliveries(services)
    clock.shift(LATER)
    relay.always("CONNECT", "421 4.3.2 Closing")
    worker.drain()
    [after] = deliveries(services)
    assert after.due_at is not None
    assert after.due_at > now() - timedelta(minutes=1), "It was tried."
    assert (after.state, after.finished_at) == (State.UNCERTAIN, before.finished_at)
    assert after.finished_at == after.lost_at
    assert after.is_dot_sent, "It counts against the relay's day."
    execute(services, delete(Subscription))


@pytest.mark.usefixtures("uncertain_issue")
def test_a_copy_that_a_dead_worker_had_not_begun_to_resend_stays_uncertain(clock, worker, services):
    [before] = deliveries(services)
    clock.shift(LATER)
    dead = WorkerLock(services.settings.state_folder / "workers")
    with services.writing.begin() as session:
        results.renew_lease(session, dead.name)
        assert claims.claim_due(session, dead.name, 1) == [before.id]
    dead._lock.close()
    with services.writing.begin() as session:
        assert results.recover(session, worker.engine._lock, LATER) == [dead.name]
    [after] = deliveries(services)
    assert (after.state, after.finished_at) == (State.UNCERTAIN, before.finished_at)
    assert after.due_at is not None


@pytest.mark.usefixtures("uncertain_issue")
def test_a_mark_of_the_first_try_says_nothing_of_the_second(clock, worker, services):
    """The worker that had no answer claims it again, and is killed before it says a word."""
    clock.shift(LATER)
    engine = worker.engine
    with services.writing.begin() as session:
        results.renew_lease(session, engine._lock.name)
        assert engine._claim(session, 1, is_free=True)
    marks = engine._lock.entries(engine._lock.name)
    with services.writing.begin() as session:
        results.take_over(session, engine._lock.name, marks, LATER)
    [delivery] = deliveries(services)
    assert (delivery.state, delivery.resent) == (State.UNCERTAIN, 0)
    assert delivery.due_at is not None, "It is tried again."


@pytest.mark.parametrize(
    "what", ["the member leaves", "the issue is stopped", "it was put off", "its time is over"]
)
def test_a_copy_that_may_have_arrived_is_never_said_to_have_been_withdrawn(
    uncertain_issue, clock, worker, relay, services, what
):
    clock.shift(LATER)
    if what == "it was put off":
        relay.script("RCPT", "451 4.3.0 Later")
        worker.drain()
        assert books(services, uncertain_issue) == {"recipients": 1, "deferred": 1}
    if what == "its time is over":
        relay.always("RCPT", "450 4.2.1 Later")
        while (due_at := deliveries(services)[0].due_at) is not None:
            clock.move_to(due_at)
            worker.drain()
    with services.writing.begin() as session:
        if what == "the member leaves":
            members.leave(session, session.scalars(select(Subscription.public_id)).one())
        else:
            release.act(session, session.get_one(Newsletter, uncertain_issue), release.stop)
    if what != "the member leaves":
        assert worker.waiting() == {}, "Of a stopped issue nothing is due."
    worker.drain()
    clock.shift(LATER)
    worker.drain()
    assert books(services, uncertain_issue) == {"recipients": 1, "uncertain": 1}
    assert deliveries(services)[0].due_at is None
    assert len(relay.accepted) == 1


@on_both("claims")
def test_an_uncertain_copy_waits_while_its_issue_is_paused_then_is_resent_once(
    uncertain_issue, clock, worker, relay, services
):
    [before] = deliveries(services)
    with services.writing.begin() as session:
        release.act(session, session.get_one(Newsletter, uncertain_issue), release.pause)
    clock.shift(LATER)
    worker.drain()
    assert deliveries(services)[0].due_at == before.due_at, "Nobody took it in hand."
    with services.writing.begin() as session:
        release.act(session, session.get_one(Newsletter, uncertain_issue), release.resume)
    worker.drain()
    assert books(services, uncertain_issue) == {"recipients": 1, "accepted": 1, "resent": 1}
    assert len(relay.accepted) == 2


def test_days_for_which_an_issue_was_paused_are_not_taken_from_its_tries(
    clock, worker, relay, services
):
    issue = queue(services)
    relay.always("RCPT", "451 4.3.0 Later")
    worker.drain()
    with services.writing.begin() as session:
        release.act(session, session.get_one(Newsletter, issue), release.pause)
    clock.shift(timedelta(days=3))
    with services.writing.begin() as session:
        release.act(session, session.get_one(Newsletter, issue), release.resume)
    worker.drain()
    assert books(services, issue) == {"recipients": 1, "deferred": 1}


def test_a_copy_claimed_before_a_pause_and_deferred_does_not_expire_during_it(
    clock, worker, services
):
    issue, engine = queue(services), worker.engine
    with services.writing.begin() as session:
        results.renew_lease(session, engine._lock.name)
        assert engine._claim(session, 1, is_free=True)
        release.act(session, session.get_one(Newsletter, issue), release.pause)
    [copy] = deliveries(services)
    with services.writing.begin() as session:
        engine._settle(session, [(copy.id, outcomes.TOO_SLOW)])
    clock.shift(timedelta(days=3))
    worker.drain()
    assert books(services, issue) == {"recipients": 1, "deferred": 1}


def test_a_dead_workers_answered_copies_are_settled_and_only_the_rest_is_uncertain(
    worker, services
):
    issue, name = queue(services, 2), worker.engine._lock.name
    with services.writing.begin() as session:
        results.renew_lease(session, name)
        assert worker.engine._claim(session, 70, is_free=True)
    answered, unanswered = (each.id for each in deliveries(services))
    marks = {answered: JournalEntry.ACCEPTED, unanswered: JournalEntry.DOT}
    with services.writing.begin() as session:
        results.take_over(session, name, marks, LATER)
    assert books(services, issue) == {"recipients": 2, "accepted": 1, "uncertain": 1}


@on_both("leases")
@pytest.mark.usefixtures("clock")
def test_six_workers_that_die_before_they_begin_put_nobody_aside(worker, relay, services):
    issue = queue(services)
    name = worker.engine._lock.name
    for _ in range(retry.MAX_DEATHS):
        with services.writing.begin() as session:
            results.renew_lease(session, name)
            assert worker.engine._claim(session, 70, is_free=True)
        with services.writing.begin() as session:
            results.take_over(session, name, {}, LATER)
    worker.drain()
    assert books(services, issue) == {"recipients": 1, "accepted": 1}
    assert len(relay.accepted) == 1
