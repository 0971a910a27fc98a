"""Repair due times that a clock running ahead has put off."""

from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Float,
    and_,
    bindparam,
    case,
    delete,
    exists,
    false,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session

from belong_mail.core.db import UtcTime
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import Limit, Table, WorkerLimit
from belong_mail.delivery import throttle
from belong_mail.delivery.models import Delivery, SentPerMinute, State
from belong_mail.delivery.retry import FIRST_RETRY, LONGEST_RETRY, RELAY_RESTS
from belong_mail.delivery.throttle import MINUTE_KEY
from belong_mail.members.models import Subscription
from belong_mail.ops.hold import SKEW, Host

# Longer than any rate limit's period: who has used up more waits no longer than this.
LONGEST_ALLOWANCE = timedelta(days=10)
# A rate limit dates a message no later than this.
LONGEST_LIMIT = timedelta(days=8)
# The relay's pace is counted ahead by less.
RELAY_MINUTE = timedelta(minutes=2)
# Requests that are put right at a time.
BATCH_ROWS = 500
# Tries after which the wait is twice as long.
DOUBLING = range(1, 7)
WAITING = (State.QUEUED, State.DEFERRED, State.UNCERTAIN)
# It may have arrived: no error of a clock is a reason to send it again any sooner.
IS_COPY_IN_DOUBT = and_(Delivery.state == State.UNCERTAIN, Delivery.newsletter_id.is_not(None))
_SOON = bindparam("soon", type_=UtcTime())
_PACE, _LONGEST = bindparam("pace", type_=Float()), bindparam("longest", type_=Float())
# Whether anything lies so far ahead that it may be an error; made once, for it is asked often.
_IS_ANY_AHEAD = select(
    or_(
        exists(select(Delivery.id).where(Delivery.due_at > _SOON)),
        exists(select(Job.id).where(Job.due_at > _SOON, Job.created_at > _SOON)),
        exists(select(SentPerMinute.minute).where(SentPerMinute.minute > _SOON)),
        exists(select(Limit.key).where(Limit.key == MINUTE_KEY, Limit.used_until > _PACE)),
        exists(select(Limit.key).where(Limit.used_until > _LONGEST)),
        exists(select(WorkerLimit.key).where(WorkerLimit.used_until > _LONGEST)),
    )
)


def pull_back(session: Session, by: timedelta, at: datetime) -> None:
    """Let what waits be due now, and take so much from allowances: this host's clock was ahead.

    Called when the database was last seen at a time that is still to come.
    """
    later = Delivery.due_at > at, Delivery.state.in_(WAITING), ~IS_COPY_IN_DOUBT
    _run(session, update(Delivery).where(*later).values(due_at=at, created_at=_no_later(at)))
    _run(session, update(Job).where(Job.due_at > at).values(due_at=at, created_at=at))
    start, seconds = at.timestamp(), by.total_seconds()
    for counts in (Limit, WorkerLimit):
        used = counts.used_until
        less = case((used - seconds > start, used - seconds), else_=start)
        _run(session, update(counts).where(used > start).values(used_until=less))
    for column in (Subscription.confirmed_at, Subscription.asked_at):
        _run(session, update(Subscription).where(column > at).values({column: at}))
    asked = update(Subscription).where(Subscription.asked_until > start)
    _run(session, asked.values(asked_until=start))


def repair_clocks(session: Session, uncertain: timedelta | None, at: datetime) -> None:
    """Pull back each single time that no rule explains, whoever's clock wrote it."""
    pace, longest = ((at + each).timestamp() for each in (RELAY_MINUTE, LONGEST_ALLOWANCE))
    if not session.scalar(_IS_ANY_AHEAD, {"soon": at + SKEW, "pace": pace, "longest": longest}):
        return
    values = {"due_at": at, "created_at": _no_later(at)}
    _run(session, update(Delivery).where(_unexplained(at)).values(values))
    if uncertain is not None:
        doubt = update(Delivery).where(_is_long_in_doubt(uncertain, at))
        _run(session, doubt.values({**values, "due_at": at + uncertain}))
    latest = select(Job).where(_is_early(at)).order_by(Job.created_at.desc()).limit(BATCH_ROWS)
    for request in session.scalars(latest):
        written = request.created_at or at
        request.due_at, request.created_at = max(at, at + (request.due_at - written)), at
    _cap(session, Limit, Limit.key == MINUTE_KEY, at + RELAY_MINUTE)
    _cap(session, Limit, Limit.key != MINUTE_KEY, at + LONGEST_ALLOWANCE)
    _cap(session, WorkerLimit, true(), at + LONGEST_ALLOWANCE)
    early = SentPerMinute.minute > at + SKEW
    if number := session.scalar(select(func.sum(SentPerMinute.number)).where(early)):
        session.execute(delete(SentPerMinute).where(early))
        throttle.count_sent(session, "", number)


def unexplained(session: Session, uncertain: timedelta | None, at: datetime) -> int:
    """Count what waits for a time that no rule explains, and hosts last seen in the future."""
    counts = (
        # Two statements: for one with OR, SQLite reads all deliveries.
        select(func.count(Delivery.id)).where(_unexplained(at)),
        select(func.count(Delivery.id)).where(_is_long_in_doubt(uncertain, at)),
        select(func.count(Job.id)).where(_is_early(at)),
        select(func.count(Host.id)).where(Host.seen_at > at + SKEW),
    )
    return sum(session.scalar(each) or 0 for each in counts)


def _is_long_in_doubt(uncertain: timedelta | None, at: datetime) -> ColumnElement[bool]:
    """Tell whether a copy of an issue waits longer than BELONG_UNCERTAIN says; None: for ever."""
    if uncertain is None:
        return false()
    rest = max(uncertain, *RELAY_RESTS.values())
    return and_(IS_COPY_IN_DOUBT, Delivery.due_at > at + rest + SKEW)


def _unexplained(at: datetime) -> ColumnElement[bool]:
    rest = at + max(RELAY_RESTS.values()) + SKEW
    waits = [(tries, 1.2 * FIRST_RETRY * 2 ** (tries - 1)) for tries in DOUBLING]
    deferred = case(
        *((Delivery.attempts <= tries, max(rest, at + wait + SKEW)) for tries, wait in waits),
        else_=at + 1.2 * LONGEST_RETRY + SKEW,
    )
    is_early = Delivery.created_at > at + SKEW
    return and_(
        Delivery.due_at > at + SKEW,
        ~IS_COPY_IN_DOUBT,
        or_(
            and_(is_early, Delivery.due_at > at + LONGEST_LIMIT),
            and_(~is_early, Delivery.state == State.QUEUED, Delivery.due_at > rest),
            and_(~is_early, Delivery.state == State.DEFERRED, Delivery.due_at > deferred),
            and_(~is_early, Delivery.state == State.UNCERTAIN, Delivery.due_at > rest),
        ),
    )


def _is_early(at: datetime) -> ColumnElement[bool]:
    """Tell whether a request was written at a time that is still to come."""
    return and_(Job.due_at > at + SKEW, Job.created_at > at + SKEW)


def _no_later(at: datetime) -> ColumnElement[datetime]:
    return case((Delivery.created_at > at, at), else_=Delivery.created_at)


def _cap(session: Session, counts: Table, which: ColumnElement[bool], until: datetime) -> None:
    used = until.timestamp()
    _run(session, update(counts).where(which, counts.used_until > used).values(used_until=used))


def _run(session: Session, statement: object) -> None:
    session.execute(statement, execution_options={"synchronize_session": False})  # type: ignore[call-overload]
