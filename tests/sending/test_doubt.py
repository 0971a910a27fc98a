"""What may have arrived: nothing that is decided later makes it certain, or lets it leave twice."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import delete, select

from belong_mail.db import now
from belong_mail.newsletters.models import Newsletter
from belong_mail.parts import Parts
from belong_mail.releases import service as releases
from belong_mail.sending import claims, settling
from belong_mail.sending.models import State
from belong_mail.sending.presence import Presence
from belong_mail.subscriptions import service as subscriptions
from belong_mail.subscriptions.models import Subscription
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.sending.factories import books, deliveries, queue
from tests.servers.smtp import Server, drop

Clock = time_machine.Traveller
LATER = timedelta(minutes=16)
"""By then what is in doubt is sent once more."""


@pytest.fixture
def clock() -> Iterator[Clock]:
    with time_machine.travel(datetime(2026, 3, 2, 9, tzinfo=UTC), tick=False) as clock:
        yield clock


@pytest.fixture
def doubtful(clock: Clock, worker: Worker, relay: Server, parts: Parts, keyring: Keyring) -> int:
    """Return an issue whose only copy was taken, though its answer never came."""
    issue = queue(parts, keyring)
    relay.script("DOT", drop())
    worker.drain()
    assert books(parts, issue) == {"recipients": 1, "uncertain": 1}
    clock.shift(timedelta(seconds=1))
    return issue


@pytest.mark.usefixtures("doubtful")
def test_what_could_not_be_sent_again_is_in_doubt_since_its_answer_was_lost(
    clock: Clock, worker: Worker, relay: Server, parts: Parts
) -> None:
    """So its member can be erased, and what comes back of it is understood."""
    [before] = deliveries(parts)
    clock.shift(LATER)
    relay.always("CONNECT", "421 4.3.2 Closing")
    worker.drain()
    [after] = deliveries(parts)
    assert after.due_at is not None
    assert after.due_at > now() - timedelta(minutes=1), "It was tried."
    assert (after.state, after.finished_at) == (State.UNCERTAIN, before.finished_at)
    assert after.finished_at == after.lost_at
    assert after.is_dot_sent, "It counts against the relay's day."
    with parts.writing.begin() as session:
        session.execute(delete(Subscription))


@pytest.mark.usefixtures("doubtful")
def test_what_a_dead_worker_had_not_begun_to_send_again_is_in_doubt_as_before(
    clock: Clock, worker: Worker, parts: Parts
) -> None:
    [before] = deliveries(parts)
    clock.shift(LATER)
    dead = Presence(parts.settings.state_folder / "workers")
    with parts.writing.begin() as session:
        settling.renew(session, dead.name)
        assert claims.claim(session, dead.name, 1) == [before.id]
    dead._lock.close()
    with parts.writing.begin() as session:
        assert settling.recover(session, worker.engine._presence, LATER) == [dead.name]
    [after] = deliveries(parts)
    assert (after.state, after.finished_at) == (State.UNCERTAIN, before.finished_at)
    assert after.due_at is not None


@pytest.mark.usefixtures("doubtful")
def test_a_mark_of_the_first_try_says_nothing_of_the_second(
    clock: Clock, worker: Worker, parts: Parts
) -> None:
    """The worker that had no answer claims it again, and is killed before it says a word."""
    clock.shift(LATER)
    engine = worker.engine
    with parts.writing.begin() as session:
        settling.renew(session, engine._presence.name)
        assert engine._claim(session, 1, is_free=True)
    marks = engine._presence.marks(engine._presence.name)
    with parts.writing.begin() as session:
        settling.take_over(session, engine._presence.name, marks, LATER)
    [delivery] = deliveries(parts)
    assert (delivery.state, delivery.resent) == (State.UNCERTAIN, 0)
    assert delivery.due_at is not None, "It is tried again."


@pytest.mark.parametrize("what", ["the member leaves", "the issue is stopped", "it was put off"])
def test_a_copy_that_may_have_arrived_is_never_said_to_have_been_withdrawn(
    doubtful: int, clock: Clock, worker: Worker, relay: Server, parts: Parts, what: str
) -> None:
    clock.shift(LATER)
    if what == "it was put off":
        relay.script("RCPT", "451 4.3.0 Later")
        worker.drain()
        assert books(parts, doubtful) == {"recipients": 1, "deferred": 1}
    with parts.writing.begin() as session:
        if what == "the member leaves":
            subscriptions.leave(session, session.scalars(select(Subscription.public_id)).one())
        else:
            releases.stop(session, session.get_one(Newsletter, doubtful))
    worker.drain()
    clock.shift(LATER)
    worker.drain()
    assert books(parts, doubtful) == {"recipients": 1, "uncertain": 1}
    assert deliveries(parts)[0].due_at is None
    assert len(relay.accepted) == 1


def test_what_is_in_doubt_waits_while_its_issue_is_paused_then_is_sent_once_more(
    doubtful: int, clock: Clock, worker: Worker, relay: Server, parts: Parts
) -> None:
    [before] = deliveries(parts)
    with parts.writing.begin() as session:
        releases.pause(session, session.get_one(Newsletter, doubtful))
    clock.shift(LATER)
    worker.drain()
    assert deliveries(parts)[0].due_at == before.due_at, "Nobody took it in hand."
    with parts.writing.begin() as session:
        releases.resume(session, session.get_one(Newsletter, doubtful))
    worker.drain()
    assert books(parts, doubtful) == {"recipients": 1, "accepted": 1, "resent": 1}
    assert len(relay.accepted) == 2


def test_days_for_which_an_issue_was_paused_are_not_taken_from_its_tries(
    clock: Clock, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    issue = queue(parts, keyring)
    relay.always("RCPT", "451 4.3.0 Later")
    worker.drain()
    with parts.writing.begin() as session:
        releases.pause(session, session.get_one(Newsletter, issue))
    clock.shift(timedelta(days=3))
    with parts.writing.begin() as session:
        releases.resume(session, session.get_one(Newsletter, issue))
    worker.drain()
    assert books(parts, issue) == {"recipients": 1, "deferred": 1}


@pytest.mark.usefixtures("clock")
def test_six_workers_that_die_before_they_begin_put_nobody_aside(
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    issue = queue(parts, keyring)
    name = worker.engine._presence.name
    for _ in range(settling.DEADLY):
        with parts.writing.begin() as session:
            settling.renew(session, name)
            assert worker.engine._claim(session, 70, is_free=True)
        with parts.writing.begin() as session:
            settling.take_over(session, name, {}, LATER)
    worker.drain()
    assert books(parts, issue) == {"recipients": 1, "accepted": 1}
    assert len(relay.accepted) == 1
