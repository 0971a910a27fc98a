"""Rate limits: one row a key, shared by all, exact at the edges; over one comes a later time."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from belong_mail.core import rate_limits
from belong_mail.core.db import make_engine
from belong_mail.core.rate_limits import Rate, WorkerLimit, record_use
from belong_mail.ops.rooms import RETENTION
from tests.markers import on_both

pytestmark = on_both("one statement of each dialect counts uses")

AT = datetime(2026, 3, 8, 9, tzinfo=UTC)
RATE = Rate(3, timedelta(minutes=30))
KEY = b"key"


@pytest.fixture
def sessions(database_url: str) -> Iterator[sessionmaker[Session]]:
    engine = make_engine(database_url)
    yield sessionmaker(engine)
    engine.dispose()


def uses(sessions: sessionmaker[Session], times: int, at: datetime = AT) -> list[float]:
    """Use the key so often, each time in a transaction; return the waits in minutes."""
    waits = []
    for _ in range(times):
        with sessions.begin() as session:
            waits.append((record_use(session, KEY, RATE, at) - at).total_seconds() / 60)
    return waits


def test_so_many_at_once_and_the_next_ones_later(sessions):
    """Keys do not share an allowance."""
    assert uses(sessions, 6) == pytest.approx([0, 0, 0, 10, 20, 30])
    with sessions.begin() as session:
        assert record_use(session, b"other", RATE, AT) == AT


def test_the_allowance_grows_again_with_time(sessions):
    uses(sessions, 3)
    assert uses(sessions, 2, AT + timedelta(minutes=10)) == pytest.approx([0, 10])
    assert uses(sessions, 4, AT + timedelta(hours=5)) == pytest.approx([0, 0, 0, 10])


def test_a_limit_survives_a_restart_and_what_is_rolled_back_is_not_counted(database_url, sessions):
    with sessions() as session:
        record_use(session, KEY, RATE, AT)
        session.rollback()
    assert uses(sessions, 3) == pytest.approx([0, 0, 0])
    again = make_engine(database_url)
    assert uses(sessionmaker(again), 1) == pytest.approx([10])
    again.dispose()


def test_racing_uses_are_each_counted_once(database_url):
    start, waits = threading.Barrier(8), []

    def use() -> None:
        engine = make_engine(database_url)
        start.wait()
        waits.extend(uses(sessionmaker(engine), 5))
        engine.dispose()

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == pytest.approx([0, 0, *range(0, 380, 10)])


def test_keys_that_are_whole_again_are_forgotten(sessions):
    uses(sessions, 3)
    for minutes, kept in ((29, 1), (31, 0)):
        with sessions.begin() as session:
            RETENTION["allowances"](session, AT + timedelta(minutes=minutes))
            assert session.scalar(select(func.count()).select_from(WorkerLimit)) == kept


def tries(
    sessions: sessionmaker[Session],
    times: int,
    at: datetime = AT,
    wait: timedelta = rate_limits.NO_WAIT,
) -> list[float | None]:
    """Try the key so often; return the waits in minutes, None for each refusal."""
    waits: list[float | None] = []
    for _ in range(times):
        with sessions.begin() as session:
            when = rate_limits.try_use(session, KEY, RATE, at, wait)
            waits.append(None if when is None else (when - at).total_seconds() / 60)
    return waits


def test_what_is_refused_costs_nothing(sessions):
    assert tries(sessions, 203) == [0, 0, 0, *[None] * 200]
    assert tries(sessions, 2, AT + timedelta(minutes=10)) == [0, None]
    assert tries(sessions, 4, AT + timedelta(minutes=40)) == [0, 0, 0, None]


def test_a_wait_has_an_end_beyond_which_uses_are_refused(sessions):
    waits = tries(sessions, 100, wait=timedelta(minutes=25))
    assert waits[:6] == [0, 0, 0, pytest.approx(10), pytest.approx(20), None]
    assert set(waits[6:]) == {None}
    assert tries(sessions, 1, AT + timedelta(minutes=30)) == [0]


def test_of_several_keys_all_are_counted_or_none(sessions):
    plenty = Rate(100, timedelta(hours=1))
    with sessions.begin() as session:
        counted = [
            rate_limits.try_uses(session, [(b"plenty", plenty), (KEY, RATE)], AT)
            for _ in range(100)
        ]
    assert counted == [*[True] * 3, *[False] * 97]
    with sessions.begin() as session:
        left = [rate_limits.try_use(session, b"plenty", plenty, AT) for _ in range(100)]
    assert left.count(AT) == 97
