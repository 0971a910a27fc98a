"""The pace that the relay sets us: messages a minute, recipients a day, connections at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from belong_mail import limits
from belong_mail.db import Direct, among, now
from belong_mail.mail.outcomes import Reply
from belong_mail.sending import outcomes
from belong_mail.sending.models import LEASE, Delivery, Lease, Sent, State
from belong_mail.upserts import inserting

WINDOW = 100
"""Deliveries in hand at most: what may be uncertain when a host is lost."""
CHUNK = 70
"""Members of an issue that are claimed at a time."""
DAY, MINUTES = timedelta(days=1), timedelta(minutes=1)
MINUTE = b"relay/minute"
AHEAD = timedelta(seconds=1)
"""What may leave within this time is claimed now, so that what is urgent waits no longer."""
FIRST_REST = timedelta(minutes=1)
LONGEST_REST = timedelta(minutes=15)
"""Between tries of a relay that does not answer."""
FULL = LONGEST_REST + MINUTES
"""Between looks whether a full day has room again: whoever drains does not wait for that."""
SOON = timedelta(seconds=0.5)
BREAKS = 3
"""So many broken conversations in a row are the relay's fault."""
CAREFUL = 50
"""Messages that must go well before there is one more connection, once there was trouble."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Messages a minute and a day, or None; when uncertain issues are sent again, None: never."""

    send_rate: int | None
    daily_quota: int | None
    uncertain: timedelta | None


@dataclass(frozen=True, slots=True)
class Room:
    """How many messages may be claimed, and if none: until when."""

    most: int
    until: datetime | None = None


def room(session: Session, policy: Policy, most: int) -> Room:
    """Return how many messages may be claimed now, at most so many.

    A day is the last 24 hours. Workers count one after the other, for the row of `limits` is
    theirs until they commit.
    """
    at = now()
    if policy.send_rate:
        step = timedelta(minutes=1) / policy.send_rate
        first = limits.free_at(session, MINUTE, at)
        if first > at + SOON:
            return Room(0, first)
        most = min(most, max(1, AHEAD // step))
    if policy.daily_quota is not None:
        limits.admit(session, b"relay/day", limits.Rate(1, timedelta(0)), at)
        most = min(most, policy.daily_quota - _used(session, at))
        if most <= 0:
            return Room(0, at + FULL)
    return Room(most)


def _used(session: Session, at: datetime) -> int:
    """Count what left within a day, to the minute, and what is in hand and may leave.

    Both in one statement, which sees one moment: a message goes from the one to the other.
    """
    leases = session.scalars(select(Lease).execution_options(populate_existing=True))
    ids = [each for lease in leases for each in lease.ids]
    in_hand = select(func.count(Delivery.id)).where(
        among(Delivery.id, "ids"), Delivery.state == State.SENDING
    )
    sent = select(func.coalesce(func.sum(Sent.number), 0)).where(Sent.minute > at - DAY - MINUTES)
    used = select(in_hand.scalar_subquery() + sent.scalar_subquery())
    return session.scalar(used, {"ids": ids}) or 0


def count(session: Session, owner: str, dots: int) -> None:
    """Count final dots whose outcome a worker writes down: they are part of the relay's day."""
    if dots:
        connection = session.connection()
        minute = now().replace(second=0, microsecond=0)
        said = {"owner": owner, "minute": minute, "number": dots}
        _counting(connection.dialect.name).run(connection, said)


@cache
def _counting(dialect: str) -> Direct:
    first = _entering(dialect, Sent.owner, Sent.minute, Sent.number)
    counted = {Sent.number: Sent.number + first.excluded.number}
    return Direct(
        first.on_conflict_do_update(index_elements=[Sent.owner, Sent.minute], set_=counted)
    )


@cache
def _holding(dialect: str) -> Direct:
    """Build what writes a worker's list; a lease that another has ended begins anew."""
    lease = _entering(dialect, Lease.owner, Lease.until, Lease.held)
    listed = {Lease.held: lease.excluded.held}
    return Direct(lease.on_conflict_do_update(index_elements=[Lease.owner], set_=listed))


def _entering(dialect: str, *columns: Any) -> Any:
    values = {each.key: bindparam(each.key, type_=each.type) for each in columns}
    return inserting(dialect)(columns[0].class_).values(values)


class Turns(NamedTuple):
    """In how long the first of some messages may leave, and how far apart they are."""

    wait: timedelta = timedelta(0)
    apart: timedelta = timedelta(0)


def turns(
    session: Session, policy: Policy, owner: str, held: set[int], claimed: Iterable[tuple[int, Any]]
) -> Turns:
    """Count messages that were claimed, and return when they may leave.

    Beside what the worker holds already, they stand on its lease from now on.
    """
    ids = [each for each, _ in claimed]
    if ids:
        listed = ",".join(map(str, held.union(ids)))
        connection = session.connection()
        lease = {"owner": owner, "until": now() + LEASE, "held": listed}
        _holding(connection.dialect.name).run(connection, lease)
    if not policy.send_rate or not ids:
        return Turns()
    at = now()
    step = timedelta(minutes=1) / policy.send_rate
    last = limits.admit(session, MINUTE, limits.Rate(1, step), at, uses=len(ids))
    return Turns(max(last - (len(ids) - 1) * step - at, timedelta(0)), step)


def rest(failures: int, reasons: Iterable[Reply | None]) -> timedelta:
    """Return how long to leave a relay alone: longer each time, longest when it named a limit."""
    wait: timedelta = min(FIRST_REST * 2 ** min(failures - 1, 8), LONGEST_REST)
    for reply in reasons:
        wait = max(wait, outcomes.rest(reply) if reply is not None else wait)
    return wait


class Flow:
    """How many connections there may be: more while all goes well, half of them after trouble."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._step = 1
        self._successes = self._breaks = 0
        self.allowed = 1
        self._stuck_at = 0

    def went_well(self) -> None:
        self._successes += 1
        self._breaks = 0
        if self.allowed < self._most and self._successes % self._step == 0:
            self.allowed += 1

    def broke(self) -> bool:
        """Count a broken conversation; tell whether it is one of many in a row."""
        self._breaks += 1
        return self._breaks >= BREAKS

    def is_stuck_at(self, delivery_id: int) -> bool:
        """Tell whether the relay could not go on at this delivery the last time, too."""
        before, self._stuck_at = self._stuck_at, delivery_id
        return before == delivery_id

    def must_rest(self) -> bool:
        """Slow down; tell whether nothing at all went well since the last time."""
        is_hopeless = self._successes == 0
        self.allowed = 1 if is_hopeless else max(1, self.allowed // 2)
        self._successes, self._step = 0, CAREFUL
        return is_hopeless
