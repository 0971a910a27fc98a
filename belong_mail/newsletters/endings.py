"""Log once that nothing of an issue waits any more."""

import logging
from datetime import datetime

from sqlalchemy import Select, exists, func, or_, select
from sqlalchemy.orm import Session

from belong_mail.core import logs
from belong_mail.core.db import dialect_insert
from belong_mail.delivery.models import UNFINISHED, Chunk, Delivery, EndedIssue, IssueCount
from belong_mail.newsletters.models import Newsletter

log = logging.getLogger(__name__)
LOGGED_AT_ONCE = 100


def log_endings(session: Session, at: datetime) -> None:
    """Log the end of each issue of which nothing waits, once, whoever else does so just now."""
    ids = session.scalars(_resting().limit(LOGGED_AT_ONCE)).all()
    if not ids:
        return
    rows = [{"newsletter_id": each, "settled_at": at} for each in ids]
    noting = dialect_insert(session.get_bind().dialect.name)(EndedIssue).values(rows)
    noted = noting.on_conflict_do_nothing().returning(EndedIssue.newsletter_id)
    for issue in session.scalars(noted):
        logs.event(log, logging.INFO, "newsletter finished", newsletter=issue)


def _resting() -> Select[int]:
    """Select issues that have ended and are not logged yet."""
    is_going = or_(Newsletter.paused_at.is_(None), Newsletter.stopped_at.is_not(None))
    unclaimed = exists().where(Chunk.newsletter_id == Newsletter.id, Chunk.inserted.is_(None))
    waiting = exists().where(Delivery.newsletter_id == Newsletter.id, Delivery.due_at.is_not(None))
    unfinished = select(func.coalesce(func.sum(IssueCount.number), 0)).where(
        IssueCount.newsletter_id == Newsletter.id, IssueCount.state.in_(UNFINISHED)
    )
    noted = exists().where(EndedIssue.newsletter_id == Newsletter.id)
    is_over = Newsletter.queued_at.is_not(None), Newsletter.planned_to.is_(None), is_going
    is_at_rest = ~unclaimed, ~waiting, unfinished.scalar_subquery() == 0
    return select(Newsletter.id).where(
        *is_over, Newsletter.counted_at.is_(None), ~noted, *is_at_rest
    )
