"""What the worker must know of newsletters, beside the issues that it sends."""

from collections import Counter
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from belong_mail.core.db import dialect_insert
from belong_mail.core.retention import BATCH_ROWS, COPY_AGE
from belong_mail.delivery.models import Delivery, IssueCount
from belong_mail.delivery.room import LARGE_WRAPPED_ROWS, Room, WrappedColumn
from belong_mail.groups.models import Group, GroupInterest
from belong_mail.newsletters import emails, group_retirement_tasks, oversight, recipients
from belong_mail.newsletters.issue_mailer import TEMPLATE_COLUMN
from belong_mail.newsletters.models import Newsletter, RenderedIssue


def count_old_copies(session: Session, at: datetime) -> int:
    """Turn copies that ended long ago into their issue's counts; return how many.

    An issue of which copies still wait, as of one that is paused, is looked at again.
    """
    old = select(Newsletter).where(
        Newsletter.counted_at.is_(None), Newsletter.queued_at < at - COPY_AGE
    )
    left = BATCH_ROWS
    for issue in session.scalars(old.order_by(Newsletter.id).with_for_update(skip_locked=True)):
        left -= _count_some(session, issue, at, left)
        if left <= 0:
            break
        remaining = select(Delivery.id).where(Delivery.newsletter_id == issue.id).limit(1)
        if session.scalar(remaining) is None:
            issue.counted_at = at
    return BATCH_ROWS - left


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
    for state, number in sorted(numbers.items()):
        _add(session, issue.id, state, number, resent[state])
    gone = delete(Delivery).where(Delivery.id.in_([row.id for row in rows]))
    session.execute(gone.execution_options(synchronize_session=False))
    return len(rows)


def _add(session: Session, issue_id: int, state: str, number: int, resent: int) -> None:
    row = {"newsletter_id": issue_id, "state": state, "number": number, "resent": resent}
    first = dialect_insert(session.get_bind().dialect.name)(IssueCount).values(row)
    more = {name: getattr(IssueCount, name) + first.excluded[name] for name in ("number", "resent")}
    key = [IssueCount.newsletter_id, IssueCount.state]
    session.execute(first.on_conflict_do_update(index_elements=key, set_=more))


_ISSUE = (
    select(Newsletter.public_id + "/" + Group.public_id)
    .join(Group, Group.id == Newsletter.group_id)
    .where(Newsletter.id == RenderedIssue.newsletter_id)
    .scalar_subquery()
)
_OF_INTEREST = (
    select("/" + GroupInterest.public_id)
    .join(Newsletter, Newsletter.interest_id == GroupInterest.id)
    .where(Newsletter.id == RenderedIssue.newsletter_id)
    .scalar_subquery()
)
NEWSLETTERS = Room(
    emails={
        "issue-held": emails.held_email,
        "approve-issue": emails.approval_email,
        oversight.OFFICE_ACTED: emails.office_acted_email,
        group_retirement_tasks.GROUP_ENDS: emails.group_ends_email,
    },
    copies={"newsletter-copy": emails.office_copy, "newsletter-test": emails.test_copy},
    retention={
        "readers of issues to an interest": recipients.forget_readers,
        "copies of old issues": count_old_copies,
    },
    wrapped=(
        WrappedColumn(
            RenderedIssue.wire,
            TEMPLATE_COLUMN,
            _ISSUE + "/" + RenderedIssue.language + func.coalesce(_OF_INTEREST, ""),
            LARGE_WRAPPED_ROWS,
        ),
    ),
)
