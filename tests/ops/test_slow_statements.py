"""A statement that takes too long is ended on the server, and fails one task alone."""

from collections.abc import Iterator
from datetime import timedelta
from select import select as wait_for
from typing import Any

import pytest
import time_machine
from sqlalchemy import select, text

from belong_mail.core.db import now
from belong_mail.core.drivers import STATEMENT_SECONDS
from belong_mail.core.jobs import MAX_FAILURES, Job
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import ALWAYS, EMAILS
from belong_mail.inbound.pipe import RETURNED
from belong_mail.worker.loop import SLOW_JOB_REST
from belong_mail.worker.periodic_tasks import MAX_REST_SECONDS, Backoff, PeriodicTask, PeriodicTasks
from tests.database import query
from tests.delivery.factories import books, deliveries, queue
from tests.factories import queue_issue
from tests.markers import periodic_tasks
from tests.scenario import drain_in

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def count_for_long(session, *_: object) -> Any:
    """Stand for a count of a million rows."""
    session.execute(text("SET LOCAL statement_timeout = 50"))
    session.execute(text("SELECT pg_sleep(30)"))


def idle_for_long(session, *_: object) -> Any:
    """Stand for a look at thousands of meetings that the web has written."""
    session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 50"))
    wait_for([session.connection().connection.driver_connection], [], [])  # until it is cut off
    return lambda *_: None  # asks nothing more of the database


def test_the_server_ends_a_statement_before_we_stop_waiting(services):
    shown = text("SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'")
    with services.engine.connect() as connection:
        assert 0 < connection.scalar(shown) < 1000 * STATEMENT_SECONDS
    with services.engine.execution_options(has_time=True).connect() as connection:
        assert connection.scalar(shown) == 0


@pytest.mark.parametrize("task", [count_for_long, idle_for_long])
def test_a_periodic_task_that_takes_too_long_rests_and_stops_no_other(services, caplog, task):
    done: list[str] = []
    clock = [0.0]

    def slow(session) -> None:
        done.append("slow")
        task(session)

    minutes = []
    tasks: dict[str, PeriodicTask] = {
        "It is too slow": (slow, ALWAYS),
        "It fails": (lambda _: done.append("quick"), ALWAYS),
    }
    each = PeriodicTasks(services.writing, tasks, Backoff(pytest.fail, lambda: clock[-1]))
    for minute in range(5 * 60):
        clock.append(60.0 * minute)
        before = len(done)
        assert each.run()
        assert done[-1] == "quick"
        minutes += [minute] if len(done) - before == 2 else []
    assert minutes[:6] == [0, 1, 3, 7, 15, 31]
    assert minutes[-1] - minutes[-2] == MAX_REST_SECONDS / 60
    assert "It is too slow for 60 s: " in caplog.text
    tasks["It is too slow"] = lambda _: None, ALWAYS
    clock.append(clock[-1] + MAX_REST_SECONDS)
    assert each.run()
    tasks["It is too slow"] = slow, ALWAYS
    for _ in range(2):
        clock.append(clock[-1] + 60.0)
        assert each.run()
    assert done[-4:] == ["slow", "quick"] * 2, "Once it was quick, it rests for a minute again."


@periodic_tasks
def test_email_leaves_while_a_count_takes_too_long(worker, services, relay):
    issue = queue(services, 3)
    worker._periodic_tasks._tasks["Names of groups are not kept"] = count_for_long, ALWAYS
    worker.drain()
    assert books(services, issue) == {"recipients": 3, "accepted": 3}
    assert len(relay.accepted) == 3


def test_an_email_that_came_back_and_takes_too_long_to_read_is_given_up(worker, services):
    """Anyone may send one; it kept all others waiting for 15 seconds, each five minutes."""
    worker._tasks[RETURNED] = lambda work: idle_for_long(work.session)
    with services.writing.begin() as session:
        session.add(Job(kind=RETURNED, sealed=b""))
    worker.drain()
    assert query(services, select(Job.failures)) == [MAX_FAILURES]


def test_a_request_that_takes_too_long_waits_and_is_not_given_up(worker, services):
    worker._tasks["a-kind"] = lambda work: count_for_long(work.session)
    with services.writing.begin() as session:
        session.add(Job(kind="a-kind", sealed=b""))
    worker.drain()
    [request] = query(services, select(Job))
    assert request.failures == 0
    assert request.due_at > now() + SLOW_JOB_REST - timedelta(minutes=1)


def test_a_request_that_meets_a_lock_is_read_within_seconds_of_its_release(worker, services):
    lock = text("LOCK TABLE meetings IN EXCLUSIVE MODE NOWAIT")
    worker._tasks["a-kind"] = lambda work: work.session.execute(lock)
    with services.writing.begin() as session:
        session.add(Job(kind="a-kind", sealed=b""))
    with services.engine.begin() as connection:
        connection.execute(lock)
        worker.drain()
    assert query(services, select(Job.failures)) == [0]
    drain_in(worker, seconds=20)
    assert not query(services, select(Job))


@pytest.fixture(params=["a-kind", "an-idle-kind"])
def slow_kind(request) -> Iterator[str]:
    EMAILS[request.param] = count_for_long if request.param == "a-kind" else idle_for_long
    yield request.param
    del EMAILS[request.param]


def test_an_email_that_is_slow_to_compose_is_put_off_and_the_others_leave(
    scenario, slow_kind, caplog
):
    with scenario.services.writing.begin() as session:
        session.add_all(Delivery(kind=slow_kind, sealed_to=b"") for _ in range(2))
    scenario.worker.drain()
    assert caplog.text.count("QueryCanceled") <= 1, "Several in a turn could outlast the lease."
    with time_machine.travel(now() + timedelta(seconds=3)):
        assert scenario.ask("ada@dpsk12.org")
    late = [each for each in deliveries(scenario.services) if each.kind == slow_kind]
    found = {(each.state, each.attempts) for each in late}
    assert found <= {(State.DEFERRED, 1), (State.QUEUED, 0)}
    assert all(each.due_at and each.due_at > now() for each in late)
    if slow_kind == "an-idle-kind":  # twice as long each time, or a few in turn hold back all
        with time_machine.travel(now() + timedelta(hours=1)):
            scenario.worker.drain()
            late = [each for each in deliveries(scenario.services) if each.kind == slow_kind]
            later = now() + timedelta(minutes=55)
            assert all(each.due_at and each.due_at > later for each in late)


def test_other_email_leaves_while_an_issue_is_slow_to_compose(scenario):
    scenario.enter("ada@dpsk12.org")
    with scenario.services.writing.begin() as session:
        queue_issue(session)
    scenario.worker._issue_mailer._writer = count_for_long
    assert scenario.ask("ben@dpsk12.org")
    [copy] = [each for each in deliveries(scenario.services) if each.newsletter_id]
    assert (copy.state, copy.attempts) == (State.DEFERRED, 1)
    del scenario.worker._issue_mailer._writer
    with time_machine.travel(now() + timedelta(minutes=10)):
        assert len(scenario.mails("ada@dpsk12.org")) == 3
