"""A statement that takes too long is ended on the server, and fails one task alone."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.core.drivers import STATEMENT_SECONDS
from belong_mail.core.jobs import Job
from belong_mail.worker.loop import SLOW_REQUEST_REST
from belong_mail.worker.periodic_tasks import MAX_REST_SECONDS, Backoff, PeriodicTask, PeriodicTasks
from tests.delivery.factories import books, queue

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def count_for_long(session: Session, *_: object) -> None:
    """Stand for a count of a million rows."""
    session.execute(text("SET LOCAL statement_timeout = 50"))
    session.execute(text("SELECT pg_sleep(30)"))


def test_the_server_ends_a_statement_before_we_stop_waiting(services):
    shown = text("SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'")
    with services.engine.connect() as connection:
        assert 0 < connection.scalar(shown) < 1000 * STATEMENT_SECONDS
    with services.engine.execution_options(has_time=True).connect() as connection:
        assert connection.scalar(shown) == 0


def test_a_periodic_task_that_takes_too_long_rests_and_stops_no_other(services, caplog):
    done: list[str] = []
    clock = [0.0]

    def slow(session: Session) -> None:
        done.append("slow")
        count_for_long(session)

    minutes = []
    tasks: dict[str, PeriodicTask] = {
        "It is too slow": slow,
        "It fails": lambda _: done.append("quick"),
    }
    each = PeriodicTasks(services.writing, tasks, Backoff(lambda: clock[-1]))
    for minute in range(5 * 60):
        clock.append(60.0 * minute)
        before = len(done)
        assert each.run()
        assert done[-1] == "quick"
        minutes += [minute] if len(done) - before == 2 else []
    assert minutes[:6] == [0, 1, 3, 7, 15, 31]
    assert minutes[-1] - minutes[-2] == MAX_REST_SECONDS / 60
    assert "It is too slow for 60 s: OperationalError: QueryCanceled" in caplog.messages


def test_email_leaves_while_a_count_takes_too_long(worker, services, keyring, relay):
    issue = queue(services, keyring, 3)
    worker._periodic_tasks._tasks["Leads see old numbers"] = count_for_long
    worker.drain()
    assert books(services, issue) == {"recipients": 3, "accepted": 3}
    assert len(relay.accepted) == 3


def test_a_request_that_takes_too_long_waits_and_is_not_given_up(worker, services):
    worker._tasks["a-kind"] = lambda work: count_for_long(work.session)
    with services.writing.begin() as session:
        session.add(Job(kind="a-kind", sealed=b""))
    worker.drain()
    with services.reading.begin() as session:
        [request] = session.scalars(select(Job)).all()
        assert request.failures == 0
        assert request.due_at > now() + SLOW_REQUEST_REST - timedelta(minutes=1)
