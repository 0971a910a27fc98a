"""Jobs: what the web seals for the worker to read.

How many of those that look an address up are read is limited, so that nobody can test a list:
whoever breaks into the web and may write can seal guesses, and see in the database which of them
are known. The worker reads no more than people could mean; the rest waits its turn.
"""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from belong_mail.core import rate_limits
from belong_mail.core.db import IdBase, now
from belong_mail.core.encryption import Sealer, sealed_for
from belong_mail.core.rate_limits import (
    DELAYED_LOOKUPS,
    JOBS_RATE,
    LOOKUPS_PER_DAY,
    LOOKUPS_PER_MINUTE,
    UNUSUAL_LOOKUPS,
)

MINUTE, DAY, NOTICE = b"lookups/minute", b"lookups/day", b"lookups/notice"
WAITED, FLOOD = b"lookups/waited", b"jobs/flood"
RATES = ((MINUTE, LOOKUPS_PER_MINUTE), (DAY, LOOKUPS_PER_DAY))
# All that is counted by a rate, so that an error of a clock is found.
COUNTED = (*RATES, (FLOOD, JOBS_RATE))


class Job(IdBase):
    """Something a visitor asked for, written down by the blind web for the worker to read."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(
            "ix_jobs_subscription_id",
            "subscription_id",
            sqlite_where=text("subscription_id IS NOT NULL"),
        ),
    )

    # What is wanted; a room's `declarations.py` names who reads each kind.
    kind: Mapped[str]
    group_id: Mapped[int | None] = mapped_column(ForeignKey("groups.id"))
    subscription_id: Mapped[int | None] = mapped_column(
        ForeignKey("subscriptions.id", ondelete="CASCADE")
    )
    sealed: Mapped[bytes | None]
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    due_at: Mapped[datetime] = mapped_column(default=now, index=True)
    # How often reading it failed; after three it is left for the operator.
    failures: Mapped[int] = mapped_column(default=0)


def seal_job(session: Session, sealer: Sealer, kind: str, said: Any, **columns: Any) -> None:
    """Write down, sealed for one kind of job, what the worker is to do: a dataclass or JSON."""
    sealed = sealer.seal(json.dumps(said, default=asdict).encode(), sealed_for(kind))
    session.add(Job(kind=kind, sealed=sealed, **columns))


def remaining_lookups(session: Session, at: datetime) -> int:
    """Return how many such requests may be read now."""
    return min(rate_limits.remaining(session, key, rate, at) for key, rate in RATES)


def count_lookups(session: Session, number: int, at: datetime) -> None:
    """Count requests that are about to be read."""
    if not number:
        return
    for key, rate in (*RATES, (NOTICE, UNUSUAL_LOOKUPS)):
        rate_limits.record_use(session, key, rate, at, number)


def count_read(session: Session, number: int, at: datetime) -> None:
    """Count what people asked for, whatever it is, for the alarm of a flood."""
    if number:
        rate_limits.record_use(session, FLOOD, JOBS_RATE, at, number)


def is_flooded(session: Session, at: datetime) -> bool:
    """Tell whether requests come in such numbers that forms are put off or refused."""
    return not rate_limits.remaining(session, FLOOD, JOBS_RATE, at)


def note_excess(session: Session, at: datetime) -> None:
    """Remember that some had to wait."""
    rate_limits.try_use(session, WAITED, DELAYED_LOOKUPS, at)


def are_unusual(session: Session, at: datetime) -> bool:
    """Tell whether there are, or were within the hour, more than people send on a usual day."""
    return not all(
        rate_limits.remaining(session, key, rate, at)
        for key, rate in ((NOTICE, UNUSUAL_LOOKUPS), (WAITED, DELAYED_LOOKUPS))
    )
