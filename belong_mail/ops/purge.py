"""Removing all that has been kept long enough, at once: what the worker does each minute."""

from datetime import datetime

from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.core.retention import BATCH_ROWS
from belong_mail.ops.rooms import ALL


def purge_all(session: Session, at: datetime | None = None) -> dict[str, int]:
    """Remove all that is over; return how many rows of each kind went."""
    at = at or now()
    removed = dict.fromkeys(ALL.retention, 0)
    for name, chore in ALL.retention.items():
        gone = BATCH_ROWS
        while gone == BATCH_ROWS:
            gone = chore(session, at)
            removed[name] += gone
    return removed
