"""Count the copies of old issues, and remove their rows: a report needs their numbers alone."""

from collections import Counter
from datetime import datetime

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from belong_mail.core.retention import BATCH_ROWS, COPY_AGE, Rule
from belong_mail.delivery.models import Delivery, SettledIssue
from belong_mail.delivery.settled import add_count
from belong_mail.newsletters.models import Newsletter


def _old_issues(at: datetime) -> tuple[ColumnElement[bool], ...]:
    return Newsletter.counted_at.is_(None), Newsletter.queued_at < at - COPY_AGE


def _count_old_copies(session: Session, at: datetime) -> int:
    """Turn copies that ended long ago into their issue's counts; return how many.

    An issue of which copies still wait, as of one that is paused, is looked at again.
    """
    old = select(Newsletter).where(*_old_issues(at))
    left = BATCH_ROWS
    for issue in session.scalars(old.order_by(Newsletter.id).with_for_update(skip_locked=True)):
        left -= _count_some(session, issue, at, left)
        if left <= 0:
            break
        remaining = select(Delivery.id).where(Delivery.newsletter_id == issue.id).limit(1)
        if session.scalar(remaining) is None:
            issue.counted_at = at
    return BATCH_ROWS - left


count_old_copies = Rule(_count_old_copies, ((Newsletter, _old_issues),))


def _count_some(session: Session, issue: Newsletter, at: datetime, most: int) -> int:
    """Count and remove some of an issue's copies, in one transaction: a report misses none."""
    over = (
        select(Delivery.id, Delivery.state, Delivery.resent)
        .where(
            Delivery.newsletter_id == issue.id,
            Delivery.finished_at < at - COPY_AGE,
            Delivery.due_at.is_(None),
        )
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    rows = session.execute(over).all()
    numbers, resent = Counter[str](), Counter[str]()
    for _, state, again in rows:
        numbers[state] += 1
        resent[state] += bool(again)
    if not _is_settled(session, issue):
        for state, number in sorted(numbers.items()):
            add_count(session, issue.id, state, number, resent[state])
    gone = delete(Delivery).where(Delivery.id.in_([row.id for row in rows]))
    session.execute(gone.execution_options(synchronize_session=False))
    return len(rows)


def _is_settled(session: Session, issue: Newsletter) -> bool:
    """Tell whether an issue's counts have all its copies already."""
    found = select(SettledIssue.settled_at).where(SettledIssue.newsletter_id == issue.id)
    return session.scalar(found.with_for_update()) is not None
