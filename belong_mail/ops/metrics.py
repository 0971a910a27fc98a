"""Gather metrics: totals alone, never of a group or a person."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, and_, case, func, or_, select
from sqlalchemy.orm import Session

from belong_mail.contact import service as contact
from belong_mail.core.db import in_ids, now
from belong_mail.core.jobs import Job
from belong_mail.delivery.models import (
    Chunk,
    Delivery,
    IssueCount,
    Lease,
    SentPerMinute,
    State,
)
from belong_mail.inbound import bounces
from belong_mail.inbound.models import LastLook, last_look
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops import canary, clock_repair, figures, hold

# What is due may wait for so long.
LATE = timedelta(minutes=15)
DAY = timedelta(days=1)
# How often what is in hand is compared with the leases before it is counted row by row.
LOOKS = 3
# Failures after which a request is left for the operator.
UNREADABLE = 3


@dataclass(frozen=True, slots=True)
class Metrics:
    # By state.
    deliveries: dict[str, int]
    # Copies of issues that nobody has claimed yet.
    planned: int
    # For how long a delivery has waited at most: since it was asked for, or since its next try.
    oldest_seconds: float
    # What the relay said to one of those that wait: its codes, and a phrase of ours; or "".
    last_answer: str
    # Since a worker last showed that it lives; None: none ever has.
    pulse_seconds: float | None
    is_worker_dead: bool
    # Since the relay last took a message, in the last two days.
    last_left_seconds: float | None
    # Since the relay last took a canary, or the first was asked for; None: none ever was.
    canary_seconds: float | None
    requests: int
    # For how long a request is due that nobody has read.
    oldest_request_seconds: float
    unreadable: int
    # Deliveries in the hands of workers that are not known.
    orphans: int
    # Issues whose time is past, and which were neither queued nor held.
    overdue_issues: int
    # Issues, by public id, that have waited for more than a day for their lead's word.
    undecided_issues: list[str]
    # What waits for a time that no rule explains: a clock ran ahead.
    unexplained: int
    is_on_hold: bool
    # Messages to the office or to leads that have not arrived, and never will by themselves.
    undelivered: int
    # Mail comes back in unusual numbers, or because of us.
    is_coming_back: bool
    # When the mailbox that email comes back to was looked into; None: no worker reads one.
    inbound: LastLook | None
    # Since `db backup` last made a copy; None: it never has.
    backup_seconds: float | None
    # What the fullest disk that we write to still takes; None: it was not looked at.
    free_bytes: int | None = None


def gather_metrics(
    session: Session, uncertain: timedelta | None, free_bytes: int | None = None
) -> Metrics:
    at, pulse = now(), hold.pulse(session)
    by_state = _count_deliveries(session)
    planned = select(func.sum(Chunk.planned)).where(
        Chunk.inserted.is_(None), Chunk.is_halted.is_(False)
    )
    unreadable = select(func.count(Job.id)).where(Job.failures >= UNREADABLE)
    return Metrics(
        deliveries={state.value: by_state[state] for state in State},
        planned=session.scalar(planned) or 0,
        oldest_seconds=_oldest(session, at),
        last_answer=_last_answer(session),
        pulse_seconds=None if pulse is None else (at - pulse).total_seconds(),
        is_worker_dead=hold.is_dead(pulse, at),
        last_left_seconds=_age(session.scalar(select(func.max(SentPerMinute.minute))), at),
        canary_seconds=canary.silent_seconds(session, at),
        requests=session.scalar(select(func.count(Job.id))) or 0,
        oldest_request_seconds=oldest_request(session, at),
        unreadable=session.scalar(unreadable) or 0,
        orphans=_orphans(session) if by_state[State.SENDING] else 0,
        overdue_issues=session.scalar(_overdue(at)) or 0,
        undecided_issues=list(session.scalars(_undecided(at))),
        unexplained=clock_repair.unexplained(session, uncertain, at),
        is_on_hold=hold.is_on(session),
        undelivered=len(contact.undelivered(session)),
        is_coming_back=bounces.is_alarming(session, at),
        inbound=last_look(session, at),
        backup_seconds=_age(figures.noted_at(session, figures.BACKUP), at),
        free_bytes=free_bytes,
    )


def _oldest(session: Session, at: datetime) -> float:
    """Count from when email was asked for: `due_at` moves on while a relay takes nothing."""
    waiting = Delivery.state.in_((State.QUEUED, State.DEFERRED, State.UNCERTAIN))
    since = case((Delivery.state == State.QUEUED, Delivery.created_at), else_=Delivery.due_at)
    oldest = session.scalar(select(func.min(since)).where(waiting, Delivery.due_at.is_not(None)))
    return _age(oldest, at) or 0.0


def oldest_request(session: Session, at: datetime) -> float:
    """Return for how many seconds a request that can be read is due."""
    readable = Job.failures < UNREADABLE
    oldest = session.scalar(select(func.min(Job.due_at)).where(readable))
    return _age(oldest, at) or 0.0


def _age(last: datetime | None, at: datetime) -> float | None:
    return None if last is None else max(0.0, (at - last).total_seconds())


def _overdue(at: datetime) -> Select[int]:
    late = Newsletter.queued_at.is_(None), Newsletter.due_at < at - LATE
    return select(func.count(Newsletter.id)).where(*late)


def _undecided(at: datetime) -> Select[str]:
    """Select those held, and those that paused by themselves."""
    paused = (
        Newsletter.paused_at < at - DAY,
        Newsletter.stopped_at.is_(None),
        or_(Newsletter.is_late, Newsletter.is_refused),
    )
    waiting = or_(Newsletter.held_at < at - DAY, and_(*paused))
    return select(Newsletter.public_id).where(waiting).order_by(Newsletter.id)


def _count_deliveries(session: Session) -> Counter[str]:
    """Count all deliveries by state, but for those of issues whose rows are gone."""
    single = select(Delivery.state, func.count()).where(Delivery.newsletter_id.is_(None))
    copies = select(IssueCount.state, func.sum(IssueCount.number)).where(
        Newsletter.id == IssueCount.newsletter_id, Newsletter.counted_at.is_(None)
    )
    counts = Counter[str]()
    for statement in (single.group_by(Delivery.state), copies.group_by(IssueCount.state)):
        for state, number in session.execute(statement):
            counts[state] += number
    return counts


def _orphans(session: Session) -> int:
    """Count what is in the hand of a worker that has no lease: nobody takes it over.

    Its rows are read only if more is in hand than stands on the leases, and still is when that is
    looked at again: between two statements a worker may claim some more.
    """
    for _ in range(LOOKS):
        leases = session.scalars(select(Lease).execution_options(populate_existing=True))
        ids = [each for lease in leases for each in lease.ids]
        if not session.scalar(_UNKNOWN, {"ids": ids}):
            return 0
    sending = select(IssueCount.newsletter_id).where(IssueCount.state == State.SENDING)
    issues = sending.group_by(IssueCount.newsletter_id).having(func.sum(IssueCount.number) > 0)
    places = Delivery.newsletter_id.is_(None), Delivery.newsletter_id.in_(issues)
    orphans = select(func.count(Delivery.id)).where(_IS_IN_HAND, ~_IS_KNOWN)
    return sum(session.scalar(orphans.where(each)) or 0 for each in places)


_IS_IN_HAND = Delivery.state == State.SENDING
_IS_KNOWN = func.coalesce(Delivery.claimed_by, "").in_(select(Lease.owner))
_known = select(func.count(Delivery.id)).where(in_ids(Delivery.id, "ids"), _IS_IN_HAND, _IS_KNOWN)
_single = select(func.count(Delivery.id)).where(Delivery.newsletter_id.is_(None), _IS_IN_HAND)
_copies = select(func.coalesce(func.sum(IssueCount.number), 0)).where(
    IssueCount.state == State.SENDING
)
# How many more are in hand than stand on the leases, at one moment.
_UNKNOWN = select(_copies.scalar_subquery() + _single.scalar_subquery() - _known.scalar_subquery())


def _last_answer(session: Session) -> str:
    said = select(Delivery.code, Delivery.enhanced, Delivery.phrase).where(
        Delivery.state.in_((State.QUEUED, State.DEFERRED)),
        Delivery.code.is_not(None),
        Delivery.due_at.is_not(None),
    )
    found = session.execute(said.order_by(Delivery.due_at.desc()).limit(1)).first()
    return " ".join(str(each) for each in found or () if each)


def exposition(metrics: Metrics) -> str:
    """Write figures in the text format of Prometheus (0.0.4)."""
    lines = [
        "# HELP belong_deliveries Messages, by state.",
        "# TYPE belong_deliveries gauge",
        *(
            f'belong_deliveries{{state="{state}"}} {number}'
            for state, number in metrics.deliveries.items()
        ),
    ]
    for name, about, value in (
        ("planned", "Copies of newsletters that no worker has claimed yet.", metrics.planned),
        ("oldest_due_seconds", "Age of the oldest waiting message.", metrics.oldest_seconds),
        ("worker_alive", "1 while a worker is running.", int(not metrics.is_worker_dead)),
        ("worker_seconds", "Since the last sign of a worker.", metrics.pulse_seconds),
        ("last_left_seconds", "Since a message was last sent.", metrics.last_left_seconds),
        ("canary_seconds", "Since the relay last accepted a test email.", metrics.canary_seconds),
        ("requests", "Requests that the worker has not read.", metrics.requests),
        ("oldest_request_seconds", "Age of the oldest request.", metrics.oldest_request_seconds),
        ("orphans", "Messages claimed by unknown workers.", metrics.orphans),
        ("overdue_issues", "Newsletters whose time has passed.", metrics.overdue_issues),
        ("undecided_issues", "Newsletters that wait for leaders.", len(metrics.undecided_issues)),
        ("unexplained", "Things that wait because a clock was ahead.", metrics.unexplained),
        ("unreadable_requests", "Requests that cannot be read.", metrics.unreadable),
        ("on_hold", "1 while sending is on hold.", int(metrics.is_on_hold)),
        ("undelivered", "Messages to the office that were not delivered.", metrics.undelivered),
        ("coming_back", "1 while very many emails bounce.", int(metrics.is_coming_back)),
        ("disk_free_bytes", "What the fullest disk we write to still takes.", metrics.free_bytes),
        ("backup_seconds", "Since `db backup` last made a copy.", metrics.backup_seconds),
        *_of_intake(metrics.inbound),
    ):
        lines += [
            f"# HELP belong_{name} {about}",
            f"# TYPE belong_{name} gauge",
            f"belong_{name} {_number(name, value)}",
        ]
    return "\n".join(lines) + "\n"


def _number(name: str, value: float | None) -> str:
    """Write a value; a moment has more digits than others."""
    if value is None:
        return "nan"
    is_long = name.endswith(("timestamp_seconds", "_bytes"))
    return f"{value:.0f}" if is_long else f"{value:g}"


def _of_intake(last: LastLook | None) -> tuple[tuple[str, str, float | None], ...]:
    at = None if last is None or last.looked_at is None else last.looked_at.timestamp()
    failures = None if last is None else last.failures
    return (
        (
            "inbound_last_look_timestamp_seconds",
            "When the mailbox was last read, in Unix time.",
            at,
        ),
        ("inbound_failures", "Failed looks into the mailbox since then.", failures),
    )
