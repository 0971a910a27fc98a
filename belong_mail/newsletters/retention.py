"""Delete the rows of old issues' copies: a report needs only their numbers."""

from datetime import datetime

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from belong_mail.core.retention import BATCH_ROWS, COPY_AGE, Rule
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.work import RETENTION
from belong_mail.newsletters.models import Newsletter


def _old_issues(at: datetime) -> tuple[ColumnElement[bool], ...]:
    return Newsletter.counted_at.is_(None), Newsletter.queued_at < at - COPY_AGE


def _remove_old_copies(session: Session, at: datetime) -> int:
    """Delete copies that ended long ago and are in their issue's counts; return how many.

    An issue with copies that still wait, such as a paused one, is looked at again.
    """
    old = select(Newsletter).where(*_old_issues(at))
    left = BATCH_ROWS
    for issue in session.scalars(old.order_by(Newsletter.id).with_for_update(skip_locked=True)):
        left -= _remove_some(session, issue, at, left)
        if left <= 0:
            break
        remaining = select(Delivery.id).where(Delivery.newsletter_id == issue.id).limit(1)
        if session.scalar(remaining) is None:
            issue.counted_at = at
    return BATCH_ROWS - left


remove_old_copies = Rule(_remove_old_copies, ((Newsletter, _old_issues),))
RETENTION["copies of old issues"] = remove_old_copies


def _remove_some(session: Session, issue: Newsletter, at: datetime, most: int) -> int:
    over = (
        select(Delivery.id)
        .where(
            Delivery.newsletter_id == issue.id,
            Delivery.finished_at < at - COPY_AGE,
            Delivery.due_at.is_(None),
        )
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(over).all()
    gone = delete(Delivery).where(Delivery.id.in_(ids))
    session.execute(gone.execution_options(synchronize_session=False))
    return len(ids)
