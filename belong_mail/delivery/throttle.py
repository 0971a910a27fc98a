"""Limits for the relay: messages a minute, recipients a day, connections at once."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import CTE, Connection, String, bindparam, cast, func, select
from sqlalchemy.orm import Session

from belong_mail.core import rate_limits
from belong_mail.core.db import dialect_insert, now
from belong_mail.core.services import Settings
from belong_mail.core.statements import Call, CompiledStatement, in_ids, run_together
from belong_mail.delivery import retry
from belong_mail.delivery.models import LEASE, Delivery, Lease, SentPerMinute, State

# Most deliveries claimed by a worker; they may be uncertain if its host is lost.
MAX_IN_HAND = 100
DAY, MINUTES = timedelta(days=1), timedelta(minutes=1)
MINUTE_KEY = b"relay/minute"
# How long before its slot a message is claimed: urgent email waits no longer than this.
CLAIM_AHEAD = timedelta(seconds=1)
# A wait shorter than this is skipped.
CLAIM_TOLERANCE = timedelta(seconds=0.5)


def capacity(session: Session, settings: Settings, limit: int) -> tuple[int, datetime | None]:
    """Return how many messages may be claimed now, at most `limit`, and if none, until when.

    A day is the last 24 hours. Workers count one after the other, because each locks the row of
    `worker_limits` until it commits.
    """
    at = now()
    if settings.send_rate:
        step = timedelta(minutes=1) / settings.send_rate
        first = rate_limits.available_at(session, MINUTE_KEY, at)
        if first > at + CLAIM_TOLERANCE:
            return 0, first
        limit = min(limit, max(1, CLAIM_AHEAD // step))
    if settings.daily_quota is not None:
        rate_limits.record_use(session, b"relay/day", rate_limits.LOCKING_RATE, at)
        limit = min(limit, settings.daily_quota - _used(session, at))
        if limit <= 0:
            return 0, at + retry.FULL_DAY_LOOK_GAP
    return limit, None


def _used(session: Session, at: datetime) -> int:
    """Count messages sent within a day, to the minute, and claimed ones, which may be sent.

    One statement counts both at one moment, because messages move from one to the other.
    """
    leases = session.scalars(select(Lease).execution_options(populate_existing=True))
    ids = [each for lease in leases for each in lease.ids]
    in_hand = select(func.count(Delivery.id)).where(
        in_ids(Delivery.id, "ids"), Delivery.state == State.SENDING
    )
    sent = select(func.coalesce(func.sum(SentPerMinute.number), 0)).where(
        SentPerMinute.minute > at - DAY - MINUTES
    )
    used = select(in_hand.scalar_subquery() + sent.scalar_subquery())
    return session.scalar(used, {"ids": ids}) or 0


def count_sent(session: Session, owner: str, dots: int, stale: int = 0) -> None:
    """Count messages that reached their final dot, for the relay's daily quota.

    Also counts messages that became stale before their turn: many show that the worker is too slow.
    """
    if dots or stale:
        connection = session.connection()
        run_together(connection, counting(connection, owner, dots, stale))


def left_within_a_day(session: Session, at: datetime) -> int:
    """Count messages sent since a day before a moment, to the minute."""
    since = SentPerMinute.minute > at - DAY - MINUTES
    return session.scalar(select(func.sum(SentPerMinute.number)).where(since)) or 0


def last_left(session: Session) -> datetime | None:
    """Return the minute in which a final dot was last counted."""
    return session.scalar(select(func.max(SentPerMinute.minute)).where(SentPerMinute.number > 0))


def counting(connection: Connection, owner: str, dots: int, stale: int) -> Call:
    """Return the statement that counts, and its values."""
    minute = now().replace(second=0, microsecond=0)
    said = {"owner": owner, "minute": minute, "number": dots, "stale": stale}
    return _counting(connection.dialect.name), said


@cache
def _counting(dialect: str) -> CompiledStatement:
    columns = SentPerMinute.number, SentPerMinute.stale
    first = _entering(dialect, SentPerMinute.owner, SentPerMinute.minute, *columns)
    counted = {each: each + first.excluded[each.key] for each in columns}
    return CompiledStatement(
        first.on_conflict_do_update(
            index_elements=[SentPerMinute.owner, SentPerMinute.minute], set_=counted
        )
    )


def lease_of(owner: str, held: Iterable[int], turn: int = 0) -> dict[str, Any]:
    """Return a lease's columns: the worker's claims, and the number of its last transaction."""
    listed = ",".join(map(str, held))
    return {"owner": owner, "until": now() + LEASE, "held": listed, "turn": turn}


@cache
def holding(dialect: str) -> CompiledStatement:
    """Return the statement that writes a lease."""
    return CompiledStatement(_leasing(dialect))


def listing(entered: CTE) -> Any:
    """Build a CTE that writes a lease, with claims that another CTE inserts; for PostgreSQL."""
    more = select(func.string_agg(cast(entered.c.id, String), ",")).scalar_subquery()
    held = func.concat_ws(",", bindparam("held", type_=String()), more)
    return _leasing("postgresql", held=held).returning(Lease.owner)


def _leasing(dialect: str, **listed: Any) -> Any:
    """Build the statement that inserts a lease or replaces it."""
    lease = _entering(dialect, Lease.owner, Lease.until, Lease.held, Lease.turn).values(listed)
    again = {Lease.held: lease.excluded.held, Lease.turn: lease.excluded.turn}
    return lease.on_conflict_do_update(index_elements=[Lease.owner], set_=again)


def _entering(dialect: str, *columns: Any) -> Any:
    values = {each.key: bindparam(each.key, type_=each.type) for each in columns}
    return dialect_insert(dialect)(columns[0].class_).values(values)


def send_slots(session: Session, settings: Settings, number: int) -> tuple[float, float]:
    """Count so many claimed messages for the rate limit.

    Returns the seconds to wait before the first of them, and between two.
    """
    if not settings.send_rate or not number:
        return 0.0, 0.0
    at = now()
    step = timedelta(minutes=1) / settings.send_rate
    last = rate_limits.record_use(session, MINUTE_KEY, rate_limits.Rate(1, step), at, uses=number)
    wait = last - (number - 1) * step - at
    return max(wait.total_seconds(), 0.0), step.total_seconds()


class ConcurrencyLimit:
    """The number of connections: one more while all goes well, half after trouble."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._step = 1
        self._successes = self._breaks = 0
        self.allowed = 1
        self._stuck_at = 0

    def record_success(self) -> None:
        self._successes += 1
        self._breaks = 0
        if self.allowed < self._limit and self._successes % self._step == 0:
            self.allowed += 1

    def record_break(self) -> bool:
        """Count a broken conversation; return whether it is one of many in a row."""
        self._breaks += 1
        return self._breaks >= retry.MAX_BREAKS

    def is_stuck_at(self, delivery_id: int) -> bool:
        """Return whether the relay also failed at this delivery the last time."""
        before, self._stuck_at = self._stuck_at, delivery_id
        return before == delivery_id

    def must_rest(self) -> bool:
        """Use fewer connections; return whether no message was accepted since the last time."""
        is_hopeless = self._successes == 0
        self.allowed = 1 if is_hopeless else max(1, self.allowed // 2)
        self._successes, self._step = 0, retry.SUCCESSES_PER_CONNECTION
        return is_hopeless
