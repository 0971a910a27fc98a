"""A database that is far away, or a relay that is slow: what is claimed has its chance."""

import time
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import InternalError, ProgrammingError
from sqlalchemy.orm import Session

from belong_mail.core import rate_limits
from belong_mail.core.db import make_engine, now
from belong_mail.delivery import claims, results, throttle
from belong_mail.delivery.models import SentPerMinute
from belong_mail.delivery.throttle import MAX_IN_HAND
from tests.database import execute, query
from tests.delivery.factories import books, queue
from tests.markers import on_both, on_postgresql
from tests.processes import run
from tests.servers.link import far_database
from tests.waiting import wait_until

MEMBERS = 200
ONE = text("SELECT 1")


@on_postgresql
def test_an_issue_leaves_by_a_database_that_is_far_away(environment, relay, services):
    """At 40 ms a round trip, what is claimed has its turn before it grows stale.

    Once a window may be given back, where the machine stood still.
    """
    issue = queue(services, MEMBERS)
    with far_database(environment["BELONG_DATABASE_URL"], 0.04) as url:
        assert run({**environment, "BELONG_DATABASE_URL": url}, "worker", "--drain").returncode == 0
    assert books(services, issue) == {"recipients": MEMBERS, "accepted": MEMBERS}
    assert len({each.recipient for each in relay.accepted}) == len(relay.accepted) == MEMBERS
    assert query(services, select(func.sum(SentPerMinute.stale)))[0] <= MAX_IN_HAND


@on_postgresql
def test_a_chunk_costs_one_round_trip_to_the_database(database_url, worker, services, tmp_path):
    """It claims one, stores what became of the last one, and commits."""
    queue(services, 5 * MAX_IN_HAND)
    trips, asked, ids = tmp_path / "trips", list[int](), list[int]()
    mailer = worker._issue_mailer
    # Far enough that no answer comes back before all that is asked at once has gone out.
    with far_database(database_url, 0.1, trips) as url, make_engine(url).connect() as connection:
        for turn in range(5):
            before = trips.stat().st_size
            lease = throttle.lease_of("me", ids, turn + 1)
            with Session(connection) as session, session.begin():
                if claims.has_at_once(session, mailer):
                    calls = claims.at_once(mailer, MAX_IN_HAND, lease)
                    rows, _ = results.accept(session, "me", ids, *calls, is_last=True)
                    ids = [number for number, *_ in rows]
                else:
                    claimed = claims.claim_chunk(session, "me", mailer, MAX_IN_HAND) or ()
                    ids = [number for number, _ in claimed]
            asked.append(trips.stat().st_size - before)
        connection.invalidate()  # closes it
    assert min(asked[3:]) == 1, "the first ones render the issue"
    assert len(ids) == MAX_IN_HAND


def look(worker) -> None:
    """Find nothing to do."""
    assert worker._look() == ([], {})


def check(worker) -> None:
    """Check that this is the known database: leases, its row, a write and a commit."""
    worker._meet_at = 0.0
    assert worker._may_work_here()


@on_postgresql
@pytest.mark.parametrize(("do", "trips"), [(look, 1), (check, 5)])
def test_an_idle_worker_costs_few_round_trips_to_the_database(
    do, trips, database_url, worker, tmp_path
):
    """The connection was just in use, so it needs no ping."""
    file, asked, near = tmp_path / "trips", list[int](), worker._sessions.kw["bind"]
    with far_database(database_url, 0.1, file) as url:
        far = make_engine(url)
        worker._sessions.configure(bind=far)
        for _ in range(3):
            do(worker)
            asked.append(file.stat().st_size)
        far.dispose()
    worker._sessions.configure(bind=near)
    assert asked[2] - asked[1] <= trips


@on_postgresql
def test_begin_and_savepoints_cost_no_round_trip_of_their_own(database_url, tmp_path):
    """Each goes with the statement after it: two statements and the commit make three."""
    trips = tmp_path / "trips"
    with far_database(database_url, 0.1, trips) as url:
        engine = make_engine(url)
        for is_reading in (False, True):
            with Session(engine.execution_options(is_reading=is_reading)) as session:
                session.scalar(ONE)
                session.commit()
                before = trips.stat().st_size
                for _ in range(2):
                    with session.begin_nested():
                        session.scalar(ONE)
                session.commit()
                assert trips.stat().st_size - before == 3
        with Session(engine) as session:
            session.scalar(ONE)
            before = trips.stat().st_size
            limits = ((b"a", rate_limits.TEST_RATE), (b"b", rate_limits.TEST_RATE))
            assert rate_limits.try_uses(session, limits, now())
            assert trips.stat().st_size - before == 1, "Several limits are counted in one."
        engine.dispose()


@on_postgresql
def test_a_statement_that_the_socket_does_not_take_at_once_is_sent_whole(services):
    with services.writing.begin() as session:
        session.execute(text("SET LOCAL statement_timeout = 0"))
        length = text("SELECT octet_length(:file)")
        assert session.scalar(length, {"file": bytes(20_000_000)}) == 20_000_000


@on_postgresql
def test_a_block_that_hid_its_error_fails(services):
    """Nothing of its transaction is kept, and the commit would not say so."""
    with (
        pytest.raises(InternalError),
        services.writing.begin() as session,
        session.begin_nested(),
        suppress(ProgrammingError),
    ):
        session.execute(text("SELECT 1 FROM nowhere"))


@on_postgresql
def test_after_a_savepoint_is_rolled_back_a_statement_can_be_repeated(services):
    """The driver ends what it has prepared, but not what it prepares next."""
    many = text("SELECT CAST(:number AS int)"), [{"number": 1}, {"number": 2}]
    with services.writing.begin() as session:
        session.execute(*many)
        with suppress(LookupError), session.begin_nested():
            with session.begin_nested():
                session.scalar(ONE)
            raise LookupError
        session.execute(*many)
        session.execute(*many)


@pytest.mark.parametrize(("away", "seconds"), [(2.0, 2.0), (60.0, 5.0)])
def test_email_gets_as_much_time_as_the_other_tasks_took_within_seconds(
    worker, services, relay, away, seconds
):
    """A flood of forms must not stop an issue, nor a task of minutes the forms after it."""
    queue(services, 20 * MAX_IN_HAND)
    before, relay.delay = len(relay.accepted), 0.02
    worker.engine._left_at = began = time.monotonic()
    worker.engine._left_at -= away
    assert worker.engine.work(), "there is more to do"
    assert worker.engine._dispatcher.due_in() is None, "what waits would be too old after as long"
    assert time.monotonic() - began > seconds - 0.5
    # Five connections take so many in that time; what was claimed by then leaves as well.
    assert len(relay.accepted) - before < 5 * seconds / relay.delay + 2 * MAX_IN_HAND


def test_messages_at_which_a_relay_hangs_hold_up_no_others(worker, services, relay):
    """But one behind each; few are in hand, and all connections but one wait for the others."""

    def wait_for_others(conversation) -> None:
        wait_until(lambda: len(relay.accepted) >= 32)
        conversation.say("250 Ok")

    queue(services, 40)
    worker.engine._dispatcher.most = 10
    for number in range(9, 13):
        relay.always(f"DOT member{number}@dpsk12.org", wait_for_others)
    worker.drain()
    assert len(relay.accepted) == len({each.recipient for each in relay.accepted}) == 40


@on_both("an upsert counts")
def test_more_given_back_than_sent_is_wrong_for_ten_minutes(services, cli):
    """A relay that is late once gives back a window; that alone is nothing, and has not left."""
    with services.writing.begin() as session:
        throttle.count_sent(session, "a", 0, MAX_IN_HAND)
        assert throttle.last_left(session) is None
        throttle.count_sent(session, "a", 5, 5)
        assert throttle.last_left(session) is not None
    assert "given back" not in cli.invoke(args=["status"]).output
    with services.writing.begin() as session:
        throttle.count_sent(session, "b", 0, 1)
    assert "More messages are claimed and given back than are sent (now 101)." in (
        cli.invoke(args=["status"]).output
    )
    execute(services, update(SentPerMinute).values(minute=now() - timedelta(minutes=11)))
    assert "given back" not in cli.invoke(args=["status"]).output
