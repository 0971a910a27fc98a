"""Delete the rows of old issues' copies: a report needs only their numbers."""

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from belong_mail.core.db import ago, now
from belong_mail.core.retention import BATCH_ROWS, COPY_AGE
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.work import RETENTION
from belong_mail.newsletters.models import Newsletter

_IS_OLD = Newsletter.counted_at.is_(None), Newsletter.queued_at < ago(COPY_AGE)


def _remove_old_copies(session: Session) -> int:
    """Delete copies that ended long ago and are in their issue's counts; return how many.

    An issue with copies that still wait, such as a paused one, is looked at again.
    """
    old = select(Newsletter).where(*_IS_OLD)
    left = BATCH_ROWS
    for issue in session.scalars(old.order_by(Newsletter.id).with_for_update(skip_locked=True)):
        left -= _remove_some(session, issue, left)
        if left <= 0:
            break
        remaining = select(Delivery.id).where(Delivery.newsletter_id == issue.id).limit(1)
        if session.scalar(remaining) is None:
            issue.counted_at = now()
    return BATCH_ROWS - left


RETENTION["copies of old issues"] = _remove_old_copies, exists().where(*_IS_OLD)


def _remove_some(session: Session, issue: Newsletter, most: int) -> int:
    over = (
        select(Delivery.id)
        .where(
            Delivery.newsletter_id == issue.id,
            Delivery.finished_at < ago(COPY_AGE),
            Delivery.due_at.is_(None),
        )
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(over).all()
    gone = delete(Delivery).where(Delivery.id.in_(ids))
    session.execute(gone.execution_options(synchronize_session=False))
    return len(ids)
