"""Clocks that jump, nights that are longer, workers that meet (trust.md R13, R17-R19)."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask.testing import FlaskCliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from belong_mail.hold.models import Host
from belong_mail.newsletters.models import Newsletter
from belong_mail.parts import Parts
from belong_mail.subscriptions.models import Subscription
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker, make_worker
from config import Config
from tests.factories import make_members
from tests.marks import on_sqlite
from tests.operations.troubles import once
from tests.people import Visitor
from tests.sending.factories import books, deliveries, queue
from tests.servers.smtp import Server

Clock = time_machine.Traveller
DENVER = ZoneInfo("America/Denver")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
JUMPS = [DAY, -DAY, 3653 * DAY, -HOUR]


@pytest.fixture
def clock() -> Iterator[Clock]:
    with time_machine.travel(datetime(2026, 3, 2, 9, tzinfo=UTC), tick=False) as clock:
        yield clock


@pytest.fixture
def elsewhere(
    clock: Clock, worker: Worker, parts: Parts, keyring: Keyring, tmp_path: Path,
    environment: dict[str, str],
) -> Iterator[Worker]:  # fmt: skip
    """A worker with a state folder of its own, on the same database, that has been let in."""
    assert clock
    worker.drain()
    settings = Config.read({**environment, "BELONG_STATE_FOLDER": str(tmp_path / "other")})
    other = make_worker(
        Parts(
            settings, parts.writing, parts.reading, parts.tokens, parts.sealer, parts.links,
            parts.renderer,
        ),
        keyring,
    )  # fmt: skip
    other.drain()
    assert other.held_because == "unknown"
    with parts.writing.begin() as session:
        session.execute(update(Host).values(held_because=None))
        session.execute(update(Host).values(epoch=Host.epoch))
    yield other
    other.engine.close()


def copies(relay: Server) -> Counter[str]:
    return Counter(one.recipient for one in relay.accepted)


@pytest.mark.parametrize("jump", JUMPS, ids=str)
@pytest.mark.parametrize("moment", ["MAIL", "DOT"])
def test_a_clock_that_jumps_while_a_message_leaves_doubles_nothing(
    moment: str, jump: timedelta,
    clock: Clock, worker: Worker, relay: Server, parts: Parts, keyring: Keyring,
) -> None:  # fmt: skip
    """Another worker of this host looks just then: it sees by the lock that the first one lives."""
    issue = queue(parts, keyring, 3)
    other = make_worker(parts, keyring)

    def leap() -> None:
        clock.shift(jump)
        other.drain()

    relay.on(moment, once(leap))
    worker.drain()
    clock.shift(-jump)
    worker.drain()
    other.engine.close()
    assert set(copies(relay).values()) == {1}
    assert books(parts, issue) == {"recipients": 3, "accepted": 3}


@pytest.mark.parametrize("settings", [{"BELONG_UNCERTAIN": "0"}])
@pytest.mark.parametrize("moment", ["MAIL", "DOT"])
def test_workers_with_folders_of_their_own_do_not_take_each_other_for_dead(
    moment: str, elsewhere: Worker, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    issue = queue(parts, keyring, 5)
    relay.on(moment, once(elsewhere.drain))
    worker.drain()
    assert set(copies(relay).values()) == {1}
    assert books(parts, issue) == {"recipients": 5, "accepted": 5}


@pytest.mark.parametrize("settings", [{"BELONG_UNCERTAIN": "15m"}, {"BELONG_UNCERTAIN": "hold"}])
def test_who_comes_late_after_its_lease_sends_nothing_that_another_took_over(
    elsewhere: Worker, clock: Clock, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    """Of another host only the lease tells: after a jump of a day it is over.

    What the late one held may have left, so it waits; meanwhile the late one says that it has.
    """
    issue = queue(parts, keyring, 3)

    def take_over() -> None:
        clock.shift(DAY)
        elsewhere.drain()

    relay.on("DATA", once(take_over))
    worker.drain()
    clock.shift(HOUR)
    worker.drain()
    assert set(copies(relay).values()) == {1}
    assert books(parts, issue) == {"recipients": 3, "accepted": 3}


def test_ten_years_that_pass_in_a_moment_expire_nothing(
    clock: Clock, worker: Worker, relay: Server, parts: Parts, keyring: Keyring,
    visitor: Visitor, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    visitor.join("asian", "new@dpsk12.org")
    worker.drain()
    with parts.writing.begin() as session:
        make_members(session, keyring, 1, "lgbtq")
        session.execute(update(Subscription).values(ended_at=datetime.now(UTC)))
    clock.shift(3653 * DAY)
    for _ in range(3):
        worker.drain()
    assert worker.held_because == "clock"
    assert "this machine's clock is" in caplog.text
    with parts.reading.begin() as session:
        assert len(list(session.scalars(select(Subscription.id)))) == 2
    clock.shift(-3653 * DAY)
    visitor.join("asian", "late@dpsk12.org")
    worker.drain()
    assert worker.held_because is None
    assert len(relay.to("late@dpsk12.org")) == 1


def test_a_clock_that_is_right_after_all_is_released(
    clock: Clock, worker: Worker, relay: Server, parts: Parts, keyring: Keyring,
    cli: FlaskCliRunner,
) -> None:  # fmt: skip
    """The machine stood in a cupboard over the summer."""
    worker.drain()
    clock.shift(90 * DAY)
    queue(parts, keyring, 1)
    worker.drain()
    assert relay.accepted == []
    assert cli.invoke(args=["hold", "status"]).exit_code == 1
    assert cli.invoke(args=["hold", "release"]).exit_code == 0
    worker.drain()
    late = make_worker(parts, keyring)
    late.drain()
    late.engine.close()
    assert len(relay.accepted) == 1


@on_sqlite
def test_an_hour_that_comes_again_sends_nothing_again(
    clock: Clock, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> None:
    queue(parts, keyring, 3)
    worker.drain()
    for _ in range(4):
        clock.shift(-HOUR)
        worker.drain()
    clock.shift(2 * DAY)
    worker.drain()
    assert len(relay.accepted) == len(deliveries(parts)) == 3


def changes() -> list[tuple[datetime, datetime]]:
    """List the nights from 2026 to 2037 on which the clocks change: before and after, local."""
    found, at = [], datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
    while at.year < 2038:
        before, after = at.astimezone(DENVER), (at + HOUR).astimezone(DENVER)
        if before.utcoffset() != after.utcoffset():
            found.append((before, after))
        at += HOUR
    return found


NIGHTS = changes()


@on_sqlite
def test_an_issue_at_an_hour_that_is_skipped_or_comes_twice_has_one_moment(
    cli: FlaskCliRunner, parts: Parts, tmp_path: Path
) -> None:
    """02:30 that does not exist is 03:30; of 01:30 that comes twice it is the first."""
    assert len(NIGHTS) == 24
    file = tmp_path / "issue.md"
    file.write_text("Hello")
    command = ["newsletter", "send", "asian", str(file), "--subject", "Hi", "--at"]
    moments = []
    for before, after in NIGHTS:
        is_spring = before.dst() == timedelta(0)
        local = f"{before:%Y-%m-%d}T{'02:30' if is_spring else '01:30'}:00"
        assert cli.invoke(args=[*command, local]).exit_code == 0
        moments.append(after if is_spring else before)
    with parts.reading.begin() as session:
        due = list(session.scalars(select(Newsletter.due_at).order_by(Newsletter.id)))
    assert due == [moment.astimezone(UTC) for moment in moments]


@given(st.datetimes(datetime(2026, 1, 1), datetime(2037, 12, 31)), st.integers(1, 700))  # noqa: DTZ001
def test_nine_in_the_morning_stays_nine_in_the_morning(day: datetime, weeks: int) -> None:
    """Moments are stored; of local times the zone's rules make them, each on its own day."""
    first = day.replace(hour=9, minute=0, second=0, microsecond=0, tzinfo=DENVER)
    later = first + weeks * timedelta(weeks=1)
    assert later.astimezone(UTC).astimezone(DENVER).hour == 9


@on_sqlite
@pytest.mark.parametrize("night", [NIGHTS[0], NIGHTS[1]], ids=["spring", "autumn"])
def test_over_a_night_of_change_an_issue_leaves_once(
    night: tuple[datetime, datetime],
    worker: Worker, relay: Server, parts: Parts, keyring: Keyring, cli: FlaskCliRunner,
    tmp_path: Path,
) -> None:  # fmt: skip
    file = tmp_path / "issue.md"
    file.write_text("Hello")
    before, after = night
    hour = "02:30" if before.dst() == timedelta(0) else "01:30"
    send = ["newsletter", "send", "the-village", str(file), "--subject", "Hi"]
    with time_machine.travel(before - 3 * HOUR, tick=False) as clock:
        with parts.writing.begin() as session:
            make_members(session, keyring, 1)
        assert cli.invoke(args=[*send, "--at", f"{before:%Y-%m-%d}T{hour}:00"]).exit_code == 0
        at = None
        for _ in range(60):
            worker.drain()
            if relay.accepted and at is None:
                at = datetime.now(UTC)
            clock.shift(timedelta(minutes=10))
    assert len(relay.accepted) == 1
    assert at == (after if hour == "02:30" else before).astimezone(UTC)
