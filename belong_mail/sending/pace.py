"""The pace that the relay sets us: messages a minute, recipients a day, connections at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from belong_mail import limits
from belong_mail.db import now
from belong_mail.mail.outcomes import Reply
from belong_mail.sending import outcomes
from belong_mail.sending.models import Delivery, State

WINDOW = 100
"""Deliveries in hand at most: what may be uncertain when a host is lost."""
CHUNK = 70
"""Members of an issue that are claimed at a time."""
DAY = timedelta(days=1)
FULL = timedelta(minutes=15)
"""Between looks whether a full day has room again."""
MINUTE = b"relay/minute"
AHEAD = timedelta(seconds=1)
"""What may leave within this time is claimed now, so that what is urgent waits no longer."""
FIRST_REST = timedelta(minutes=1)
LONGEST_REST = timedelta(minutes=15)
"""Between tries of a relay that does not answer."""
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
        is_recent = Delivery.is_dot_sent & (Delivery.finished_at > at - DAY)
        is_used = or_(Delivery.state == State.SENDING, is_recent)
        used = session.scalar(select(func.count()).select_from(Delivery).where(is_used)) or 0
        most = min(most, policy.daily_quota - used)
        if most <= 0:
            return Room(0, at + FULL)
    return Room(most)


class Turns(NamedTuple):
    """In how long the first of some messages may leave, and how far apart they are."""

    wait: timedelta = timedelta(0)
    apart: timedelta = timedelta(0)


def turns(session: Session, policy: Policy, count: int) -> Turns:
    """Count messages and return when they may leave."""
    if not policy.send_rate or not count:
        return Turns()
    at = now()
    step = timedelta(minutes=1) / policy.send_rate
    last = limits.admit(session, MINUTE, limits.Rate(1, step), at, uses=count)
    return Turns(max(last - (count - 1) * step - at, timedelta(0)), step)


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

    def went_well(self) -> None:
        self._successes += 1
        self._breaks = 0
        if self.allowed < self._most and self._successes % self._step == 0:
            self.allowed += 1

    def broke(self) -> bool:
        """Count a broken conversation; tell whether it is one of many in a row."""
        self._breaks += 1
        return self._breaks >= BREAKS

    def must_rest(self) -> bool:
        """Slow down; tell whether nothing at all went well since the last time."""
        is_hopeless = self._successes == 0
        self.allowed = 1 if is_hopeless else max(1, self.allowed // 2)
        self._successes, self._step = 0, CAREFUL
        return is_hopeless
