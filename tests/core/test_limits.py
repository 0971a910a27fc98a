"""Rate limits: one row a key, shared by all, exact at the edges; over one comes a later time."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy.orm import Session, sessionmaker

from belong_mail.core import rate_limits
from belong_mail.core.db import make_engine
from belong_mail.core.rate_limits import Rate, record_use, try_use
from tests.markers import on_both

pytestmark = on_both("one statement of each dialect counts uses")

AT = datetime(2026, 3, 8, 9, tzinfo=UTC)
RATE = Rate(3, timedelta(minutes=30))
KEY = b"key"


@pytest.fixture
def sessions(database_url) -> Iterator[sessionmaker[Session]]:
    engine = make_engine(database_url)
    yield sessionmaker(engine)
    engine.dispose()


def uses(
    sessions: sessionmaker[Session],
    times: int,
    at: datetime = AT,
    use=record_use,
    **most: timedelta,
) -> list[Any]:
    """Use the key so often, each time in a transaction; return the waits in minutes.

    `try_use` in place of `record_use` gives none for each refusal.
    """
    waits = list[Any]()
    for _ in range(times):
        with sessions.begin() as session:
            when = use(session, KEY, RATE, at, **most)
            waits.append(None if when is None else (when - at).total_seconds() / 60)
    return waits


def test_a_burst_of_uses_passes_at_once_and_the_next_ones_wait(sessions):
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


tries = partial(uses, use=try_use)


def test_a_refused_use_costs_nothing(sessions):
    assert tries(sessions, 203) == [0, 0, 0, *[None] * 200]
    assert tries(sessions, 2, AT + timedelta(minutes=10)) == [0, None]
    assert tries(sessions, 4, AT + timedelta(minutes=40)) == [0, 0, 0, None]


def test_a_wait_has_an_end_beyond_which_uses_are_refused(sessions):
    waits = tries(sessions, 100, most_wait=timedelta(minutes=25))
    assert waits[:6] == [0, 0, 0, pytest.approx(10), pytest.approx(20), None]
    assert set(waits[6:]) == {None}
    assert tries(sessions, 1, AT + timedelta(minutes=30)) == [0]


def test_a_use_counts_against_all_of_several_keys_or_none(sessions):
    plenty = Rate(100, timedelta(hours=1))
    with sessions.begin() as session:
        counted = [
            rate_limits.try_uses(session, [(b"plenty", plenty), (KEY, RATE)], AT)
            for _ in range(100)
        ]
    assert counted == [*[True] * 3, *[False] * 97]
    with sessions.begin() as session:
        left = [try_use(session, b"plenty", plenty, AT) for _ in range(100)]
    assert left.count(AT) == 97


def test_each_rate_is_so_many_uses_in_so_many_minutes():
    """A rate that is far higher stops nobody who tries out addresses, or fills an inbox."""
    minute, named = timedelta(minutes=1), vars(rate_limits).items()
    assert {
        name.removesuffix("_RATE"): (each.burst, each.per / minute)
        for name, each in named if isinstance(each, Rate)
    } == {
        "SOURCE": (30, 10), "TRUSTED_SOURCE": (300, 15), "ALL_FORMS": (6000, 60),
        "JOBS": (3000, 60), "LOOKUPS_PER_MINUTE": (400, 1), "LOOKUPS_PER_DAY": (10_000, 1440),
        "UNUSUAL_LOOKUPS": (1000, 14_400), "DELAYED_LOOKUPS": (1, 60),
        "REPORTS": (1000, 1440), "SAME_MESSAGE_REPORTS": (5, 1440),
        "CONFIRM_MEMBER": (2, 2880), "CONFIRM_MEMBER_RATE_ALL_SOURCES": (4, 5760),
        "CONFIRM_PERSON": (10, 4800), "CONFIRM_PERSON_RATE_ALL_SOURCES": (24, 11_520),
        "CONFIRMATION_GAP": (1, 15), "SIGN_IN_BROWSER": (3, 30), "SIGN_IN_SOURCE": (4, 40),
        "SIGN_IN_STRANGERS": (6, 60), "SIGN_IN_KNOWN_BROWSER": (5, 50),
        "SIGN_IN_KNOWN_BROWSERS": (10, 60),
        "ROUND_TRIP": (1, 11), "CHALLENGE": (1, 6), "PASSKEY_CHANGED": (20, 1440),
        "LET_IN": (3, 1440), "LET_INS": (100, 1440), "SIGN_IN_REFUSED": (1, 60),
        "MY_GROUPS": (5, 60), "EMAIL_AGAIN": (1, 10_080), "USED_LINK": (1, 4320),
        "COPY": (3, 1440), "CHANGE_ADDRESS": (3, 1440), "STAFF_CODE": (10, 1440),
        "STAFF_CODE_SOURCE": (4, 1440), "STAFF_CODE_USED": (1, 2880), "MAILBOX": (10, 1440),
        "TEST": (20, 60), "TO_COLLEAGUES": (6, 60), "ASKED_OF_LEADERS": (120, 60),
        "HELD": (6, 60), "ACKNOWLEDGEMENT": (1, 1440), "RESEND": (1, 10),
        "INVITATIONS": (40, 1440), "SAME_INVITATION": (3, 1440), "RIGHTS_CHANGED": (100, 1440),
        "RETRY": (1, 5), "REMOVAL": (20, 1440), "IMPORT_MINUTE": (60, 1),
        "IMPORT_DAY": (10_000, 1440), "IMPORT_AGAIN": (1, 4320), "IMPORT_PERSON": (3, 4320),
        "ALERT": (1, 360), "NOTICE": (1, 1440), "OUR_FAULT": (1, 60),
        "BOUNCE_BREAKER": (19, 60), "BOUNCE_MEMBER": (1, 60), "LOCKING": (1, 0),
    }  # fmt: skip
