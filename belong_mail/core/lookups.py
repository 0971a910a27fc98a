"""Limit how many jobs that look an address up are read, so that nobody can test a list.

Whoever breaks into the web and may write can seal guesses, and see in the database which of them
are known. So the worker reads no more than people could mean; the rest waits its turn.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from belong_mail.core import rate_limits
from belong_mail.core.rate_limits import (
    DELAYED_LOOKUPS,
    LOOKUPS_PER_DAY,
    LOOKUPS_PER_MINUTE,
    UNUSUAL_LOOKUPS,
)

MINUTE, DAY, NOTICE = b"lookups/minute", b"lookups/day", b"lookups/notice"
WAITED = b"lookups/waited"
RATES = ((MINUTE, LOOKUPS_PER_MINUTE), (DAY, LOOKUPS_PER_DAY))


def remaining_lookups(session: Session, at: datetime) -> int:
    """Return how many such requests may be read now."""
    of_table = rate_limits.WorkerLimit
    return min(rate_limits.remaining(session, key, rate, at, of_table) for key, rate in RATES)


def count_lookups(session: Session, number: int, at: datetime) -> None:
    """Count requests that are about to be read."""
    if not number:
        return
    for key, rate in (*RATES, (NOTICE, UNUSUAL_LOOKUPS)):
        rate_limits.record_use(session, key, rate, at, number, rate_limits.WorkerLimit)


def note_excess(session: Session, at: datetime) -> None:
    """Remember that some had to wait."""
    if rate_limits.remaining(session, WAITED, DELAYED_LOOKUPS, at, rate_limits.WorkerLimit):
        rate_limits.record_use(session, WAITED, DELAYED_LOOKUPS, at, table=rate_limits.WorkerLimit)


def are_unusual(session: Session, at: datetime) -> bool:
    """Tell whether there are, or were within the hour, more than people send on a usual day."""
    return not all(
        rate_limits.remaining(session, key, rate, at, rate_limits.WorkerLimit)
        for key, rate in ((NOTICE, UNUSUAL_LOOKUPS), (WAITED, DELAYED_LOOKUPS))
    )
