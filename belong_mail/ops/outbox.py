"""Retry waiting email, mark copies as uncertain, and find times that a fast clock has set."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, case, func, or_, select, true, update
from sqlalchemy.orm import Session

from belong_mail.core import jobs
from belong_mail.core.audit import Kind
from belong_mail.core.db import SKEW, now
from belong_mail.core.jobs import Job, JobKind
from belong_mail.core.rate_limits import (
    ALL_FORMS,
    ALL_FORMS_RATE,
    Limit,
    Table,
    WorkerLimit,
)
from belong_mail.delivery.models import UNFINISHED, Chunk, Delivery, State
from belong_mail.delivery.retry import LONGEST_RETRY, RETRY_SPREAD
from belong_mail.delivery.throttle import MINUTE_KEY
from belong_mail.newsletters import release
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops.hold import Host

RETRIED = b"office/retried"
LONGEST_WAIT = LONGEST_RETRY * RETRY_SPREAD[1] + SKEW
# How far into the future a rate limit may delay a message, and may be used up.
LONGEST_LIMIT, LONGEST_ALLOWANCE = timedelta(days=8), timedelta(days=10)
# The relay's rate limit is used up for less than this.
RELAY_MINUTE = timedelta(minutes=2)


class RetryEmail(JobKind, kind="retry-email", recorded=Kind.RETRY_ASKED):
    """Retry waiting email, at the office's request, as the web may not change deliveries."""


def ask_retry(session: Session) -> int:
    """Make all waiting email due now; return how many.

    Leaves out uncertain and paused email, and email that a rate limit has delayed, unless by a fast
    clock.
    """
    at = now()
    is_far = Delivery.due_at > at + LONGEST_LIMIT
    later = update(Delivery).where(_waits(at), or_(~_is_put_off(at), is_far))
    dated = case((Delivery.created_at > at, at), else_=Delivery.created_at)
    values = {"due_at": at, "created_at": dated}
    number = len(session.execute(later.values(values).returning(Delivery.id)).all())
    early = update(Job).where(_is_early(at)).values(due_at=at, created_at=at)
    number += len(session.execute(early.returning(Job.id)).all())
    _free_limits(session, at)
    session.execute(update(Host).values(retry_asked_at=at))
    return number


def doubt_copies(session: Session, uncertain: timedelta | None) -> int:
    """Mark copies that were being sent as uncertain, and pause their issues; return their number.

    They may have been sent since the database was copied. When a leader resumes an issue, they are
    sent once more as BELONG_UNCERTAIN says, and all other copies are sent, too.
    """
    at, number = now(), 0
    again = None if uncertain is None else at + uncertain
    doubtful = {"state": State.UNCERTAIN, "lost_at": at, "finished_at": at, "due_at": again}
    waits_in_doubt = and_(Delivery.state == State.UNCERTAIN, Delivery.due_at.is_not(None))
    copies = or_(Delivery.state.in_(UNFINISHED), waits_in_doubt)
    is_under_way = or_(
        Newsletter.id.in_(select(Chunk.newsletter_id).where(Chunk.inserted.is_(None))),
        Newsletter.id.in_(select(Delivery.newsletter_id).where(copies)),
    )
    for issue in session.scalars(select(Newsletter).where(is_under_way)).all():
        theirs = Delivery.newsletter_id == issue.id, Delivery.state.in_(UNFINISHED)
        session.execute(update(Delivery).where(*theirs).values({**doubtful, "claimed_by": None}))
        if issue.paused_at is None and issue.stopped_at is None:
            release.act(session, issue, release.pause)
            number += 1
    return number


def unexplained(session: Session, at: datetime) -> int:
    """Count what waits for a time that no rule allows, because a clock ran ahead."""
    longest = case((_is_put_off(at), at + LONGEST_LIMIT), else_=at + LONGEST_WAIT)
    deliveries = select(func.count(Delivery.id)).where(_waits(at), Delivery.due_at > longest)
    jobs = select(func.count(Job.id)).where(_is_early(at))
    return (session.scalar(deliveries) or 0) + (session.scalar(jobs) or 0)


def _waits(at: datetime) -> ColumnElement[bool]:
    return and_(Delivery.state.in_((State.QUEUED, State.DEFERRED)), Delivery.due_at > at)


def _is_put_off(at: datetime) -> ColumnElement[bool]:
    """Match single messages that a rate limit has delayed: created in the future and untried."""
    return and_(
        Delivery.state == State.QUEUED,
        Delivery.newsletter_id.is_(None),
        Delivery.created_at > at,
    )


def _is_early(at: datetime) -> ColumnElement[bool]:
    """Match jobs that were created in the future."""
    return and_(Job.due_at > at + SKEW, Job.created_at > at + SKEW)


def _free_limits(session: Session, at: datetime) -> None:
    """Reset limits that are used up for longer than any rule allows."""
    limits: tuple[tuple[Table, ColumnElement[bool], timedelta], ...] = (
        (Limit, true(), LONGEST_ALLOWANCE),
        (WorkerLimit, true(), LONGEST_ALLOWANCE),
        (Limit, Limit.key == ALL_FORMS, ALL_FORMS_RATE.per + SKEW),
        (WorkerLimit, WorkerLimit.key == MINUTE_KEY, RELAY_MINUTE),
        *((WorkerLimit, WorkerLimit.key == key, rate.per + SKEW) for key, rate in jobs.COUNTED),
    )
    for table, which, most in limits:
        beyond = update(table).where(which, table.used_until > (at + most).timestamp())
        session.execute(beyond.values(used_until=at.timestamp()))
