"""Count an issue's copies once, when nothing of it waits; and count all, as metrics do."""

import logging
from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import Select, and_, case, exists, func, or_, select
from sqlalchemy.orm import Session

from belong_mail.core import logs
from belong_mail.core.db import dialect_insert
from belong_mail.delivery.models import UNFINISHED, Chunk, Delivery, IssueCount, SettledIssue
from belong_mail.delivery.settled import add_count
from belong_mail.newsletters.models import Newsletter

log = logging.getLogger(__name__)
# Nobody's transaction is open for so long.
NOTED_FOR = timedelta(minutes=2)
# Copies that a worker may know more of are asked for again.
AGAIN = timedelta(hours=1)
# By then no worker comes back that was cut off.
CUT_OFF = timedelta(days=3)
NOTED_AT_ONCE = 100


def settle_issues(session: Session, at: datetime) -> None:
    """Count one issue of those that were noted, and note those of which nothing waits."""
    noted = select(SettledIssue, Newsletter.queued_at).join(
        Newsletter, Newsletter.id == SettledIssue.newsletter_id
    )
    due = noted.where(SettledIssue.settled_at.is_(None), SettledIssue.due_at <= at)
    free = due.with_for_update(skip_locked=True, of=SettledIssue)
    for row, queued_at in session.execute(free.order_by(SettledIssue.due_at).limit(1)):
        _settle(session, row, queued_at or at, at)
    ids = session.scalars(_resting().limit(NOTED_AT_ONCE)).all()
    if ids:
        rows = [{"newsletter_id": each, "due_at": at + NOTED_FOR} for each in ids]
        noting = dialect_insert(session.get_bind().dialect.name)(SettledIssue).values(rows)
        session.execute(noting.on_conflict_do_nothing())


def _settle(session: Session, row: SettledIssue, queued_at: datetime, at: datetime) -> None:
    """Count an issue whose row is ours; if something of it waits after all, forget it."""
    theirs = Delivery.newsletter_id == row.newsletter_id
    waits = exists().where(theirs, Delivery.due_at.is_not(None))
    resent = func.sum(case((Delivery.resent > 0, 1), else_=0))
    states = select(Delivery.state, func.count(), resent, func.count(Delivery.claimed_by))
    found = session.execute(states.where(theirs).group_by(Delivery.state)).all()
    if session.scalar(select(waits)) or any(state in UNFINISHED for state, *_ in found):
        session.delete(row)
    elif queued_at > at - CUT_OFF and any(claimed for *_, claimed in found):
        row.due_at = at + AGAIN
    else:
        for state, number, again, _ in found:
            add_count(session, row.newsletter_id, state, number, again)
        row.settled_at = at
        logs.event(log, logging.INFO, "newsletter finished", newsletter=row.newsletter_id)


def _resting() -> Select[int]:
    """Select the issues of which nothing waits, as far as a few rows tell, and not noted yet."""
    is_going = or_(Newsletter.paused_at.is_(None), Newsletter.stopped_at.is_not(None))
    unclaimed = exists().where(Chunk.newsletter_id == Newsletter.id, Chunk.inserted.is_(None))
    waiting = exists().where(Delivery.newsletter_id == Newsletter.id, Delivery.due_at.is_not(None))
    noted = exists().where(SettledIssue.newsletter_id == Newsletter.id)
    is_over = Newsletter.queued_at.is_not(None), Newsletter.planned_to.is_(None), is_going
    return select(Newsletter.id).where(
        *is_over, Newsletter.counted_at.is_(None), ~noted, ~unclaimed, ~waiting
    )


def open_issues(session: Session) -> list[int]:
    """List the issues whose copies must be counted one by one: those that are not settled."""
    settled = exists().where(
        SettledIssue.newsletter_id == Newsletter.id, SettledIssue.settled_at.is_not(None)
    )
    queued = Newsletter.queued_at.is_not(None), Newsletter.counted_at.is_(None)
    return list(session.scalars(select(Newsletter.id).where(*queued, ~settled)))


def count_deliveries(session: Session, unsettled: list[int]) -> Counter[str]:
    """Count all deliveries by state, but for those of issues whose rows are gone."""
    by_state = select(Delivery.state, func.count()).group_by(Delivery.state)
    is_there = and_(
        Newsletter.id == IssueCount.newsletter_id,
        Newsletter.counted_at.is_(None),
        SettledIssue.newsletter_id == IssueCount.newsletter_id,
        SettledIssue.settled_at.is_not(None),
    )
    settled = select(IssueCount.state, func.sum(IssueCount.number)).where(is_there)
    counted = [by_state.where(Delivery.newsletter_id.is_(None)), settled.group_by(IssueCount.state)]
    counted += [by_state.where(Delivery.newsletter_id == each) for each in unsettled]
    counts = Counter[str]()
    for statement in counted:
        for state, number in session.execute(statement):
            counts[state] += number
    return counts
