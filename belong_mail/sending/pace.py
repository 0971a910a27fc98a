"""The pace that the relay sets us: so many messages a minute, so many recipients a day."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from belong_mail import limits
from belong_mail.db import now
from belong_mail.sending.models import Delivery, State

DAY = timedelta(days=1)
AHEAD = 6
"""A batch is at most a sixth of a minute's messages, so that what is urgent waits no longer."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Messages a minute and a day, or None; when uncertain issues are sent again, None: never."""

    send_rate: int | None
    daily_quota: int | None
    uncertain: timedelta | None


def room(session: Session, policy: Policy, most: int) -> int:
    """Return how many messages may be claimed now, at most so many; 0 when the day is full.

    A day is the last 24 hours. Workers count one after the other, for the row of `limits` is
    theirs until they commit.
    """
    if policy.send_rate:
        most = min(most, max(1, policy.send_rate // AHEAD))
    if policy.daily_quota is None:
        return most
    at = now()
    limits.admit(session, b"relay/day", limits.Rate(1, timedelta(0)), at)
    is_recent = Delivery.is_dot_sent & (Delivery.finished_at > at - DAY)
    is_used = or_(Delivery.state == State.SENDING, is_recent)
    used = session.scalar(select(func.count()).select_from(Delivery).where(is_used)) or 0
    return max(0, min(most, policy.daily_quota - used))


def turn(session: Session, policy: Policy) -> datetime:
    """Count a message and return when it may leave: a minute's messages leave one by one."""
    at = now()
    if not policy.send_rate:
        return at
    rate = limits.Rate(1, timedelta(minutes=1) / policy.send_rate)
    return limits.admit(session, b"relay/minute", rate, at)
