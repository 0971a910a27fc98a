"""The relay's own limits hold mail back, and lose none of it."""

import time
from datetime import timedelta

import pytest

from belong_mail.core.db import now
from belong_mail.delivery import claims, results, throttle
from belong_mail.worker.loop import Worker
from tests.delivery.factories import books, end_lease, hold, queue
from tests.factories import make_members, queue_issue
from tests.markers import on_both, on_sqlite
from tests.ops.troubles import once
from tests.processes import SECONDS, started

pytestmark = on_both("one statement of each dialect shares the pace")

HOUR = timedelta(hours=1)
TEN_A_DAY = pytest.mark.parametrize("settings", [{"BELONG_DAILY_QUOTA": "10"}])


@TEN_A_DAY
def test_a_day_sees_no_more_than_the_quota_and_the_rest_follows_whoever_sends(
    clock, worker, relay, services, keyring
):
    """A new worker goes on counting."""
    issue = queue(services, 25)
    worker.drain()
    assert worker.waiting() == {"queued": 15}, "what the quota holds back"
    sent_by_hour = []
    for hour in range(48):
        if hour in (23, 26, 47):
            another = Worker(services, keyring)
            another.drain()
            another.engine.close()
        worker.drain()
        sent_by_hour.append(len(relay.accepted))
        clock.shift(HOUR)
    assert sent_by_hour[:24] == [10] * 24
    assert sent_by_hour[25:] == [20] * 23
    assert books(services, issue) == {"recipients": 25, "accepted": 20, "queued": 5}


@TEN_A_DAY
def test_workers_share_the_quota_and_count_what_another_has_in_hand(
    worker, relay, services, keyring
):
    second = Worker(services, keyring)
    worker.drain()
    issue = queue(services, 60)
    relay.on("DATA", once(second.drain))
    worker.drain()
    second.engine.close()
    assert books(services, issue) == {"recipients": 60, "accepted": 10, "queued": 50}
    assert len(relay.accepted) == 10


@pytest.mark.parametrize("settings", [{"BELONG_DAILY_QUOTA": "10", "BELONG_UNCERTAIN": "hold"}])
def test_copies_that_a_lost_worker_may_have_sent_count_against_the_quota(
    clock, worker, relay, services, keyring
):
    """While it may live it has them in hand; then they are uncertain. A day later there is room."""
    begin = now()
    queue(services, 4)
    with services.writing.begin() as session:
        results.renew_lease(session, "elsewhere")
        session.flush()
        claimed = claims.claim_chunk(session, "elsewhere", worker._issue_mailer, 100) or []
        hold(session, "elsewhere", claimed)
        make_members(session, keyring, 30, "lgbtq")
        queue_issue(session, "lgbtq")
    for hours, sent in ((0.0, 6), (1.0, 6), (24.0, 6), (24.75, 12), (26.0, 16)):
        clock.move_to(begin + hours * HOUR)
        if hours:
            end_lease(services)
        worker.engine.recover()
        worker.drain()
        assert len(relay.accepted) == sent, hours


@on_sqlite
@TEN_A_DAY
def test_copies_that_the_relay_refuses_do_not_count_against_the_quota(
    clock, worker, relay, services
):
    issue = queue(services, 12)
    relay.script("RCPT", "550 5.1.1 No such user", "550 5.1.1 No such user")
    relay.script("DOT", "451 4.3.0 Later")
    worker.drain()
    clock.shift(HOUR)
    worker.drain()
    assert books(services, issue) == {"recipients": 12, "accepted": 10, "bounced": 2}


@on_sqlite
@pytest.mark.parametrize("settings", [{"BELONG_SEND_RATE": "600"}])
def test_messages_leave_one_by_one_at_the_rate_of_the_relay(worker, relay, services):
    """600 a minute is one in a tenth of a second."""
    issue = queue(services, 11)
    began = time.time()
    worker.drain()
    assert books(services, issue) == {"recipients": 11, "accepted": 11}
    for number, at in enumerate(sorted(one.at for one in relay.accepted)):
        assert at - began > number / 10 - 0.01, "each may be late, and none may be early"


@on_sqlite
@pytest.mark.parametrize("settings", [{"BELONG_SEND_RATE": "1"}])
def test_a_worker_that_waits_for_its_turn_stops_when_told(worker, relay, services):
    with services.writing.begin() as session:
        limit = throttle.capacity(session, worker.engine._settings, throttle.MAX_IN_HAND)[0]
    assert limit == 1, "what comes meanwhile and is urgent waits no longer"
    issue = queue(services, 2)
    relay.on("after DOT", lambda _: worker.engine.stopping.set())
    worker.drain()
    assert books(services, issue) == {"recipients": 2, "accepted": 1, "queued": 1}


@pytest.mark.parametrize("settings", [{"BELONG_SEND_RATE": "1"}])
def test_workers_of_several_processes_share_the_rate(environment, worker, relay, services):
    queue(services, 2)
    with started(environment, "worker"):
        relay.wait_for(1, SECONDS)
        worker._turn()
    assert len(relay.accepted) == 1
