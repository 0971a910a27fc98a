"""Measure the state of the site, always in totals, never of one group or person."""

import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from belong_mail.core import jobs, rate_limits
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import ALERT_RATE, MAX_WAITING_JOBS, NOTICE_RATE
from belong_mail.core.services import Settings
from belong_mail.delivery import throttle
from belong_mail.delivery.models import (
    HALTED_NEWSLETTERS,
    Delivery,
    IssueCount,
    SentPerMinute,
    State,
)
from belong_mail.delivery.outcomes import UNWRITABLE
from belong_mail.inbound.models import last_polled
from belong_mail.members.imports import ASKED_NOTICE
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops import figures, hold
from belong_mail.ops.figures import Figure

# How late is reported: a due time, and a newsletter that waits for a decision.
LATE, UNDECIDED = timedelta(minutes=15), timedelta(days=1)
GIVEN_BACK_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True)
class Site:
    """The site to measure, and the current time."""

    session: Session
    settings: Settings
    at: datetime
    # Whether the web measures, whose database role cannot read `worker_limits`.
    is_web: bool = False

    @property
    def has_relay(self) -> bool:
        """Return whether email goes to a relay; otherwise, in development, a worker is optional."""
        return not self.settings.smtp_url.startswith("mailbox:")

    @cached_property
    def pulse(self) -> datetime | None:
        """When a worker last showed that it is running; None also where none is required."""
        return hold.pulse(self.session) if self.has_relay else None


Measure = Callable[[Site], float | None]


def of_worker(ask: Callable[[Session, datetime], bool]) -> Measure:
    """Return a measure of 1 or 0 by a condition; None in the web, which cannot read its rows."""
    return lambda site: None if site.is_web else float(ask(site.session, site.at))


def worker_missing(site: Site) -> float | None:
    return float(site.pulse is None) if site.has_relay else None


def worker_seconds(site: Site) -> float | None:
    return _age(site.pulse, site.at)


def worker_ahead_seconds(site: Site) -> float | None:
    return None if site.pulse is None else max(0.0, (site.pulse - site.at).total_seconds())


def disk_free_bytes(site: Site) -> float | None:
    """Return the free bytes on the fullest of our disks, or None if none can be read.

    The disk of a PostgreSQL server is not ours to watch.
    """
    url, folders, free = make_url(site.settings.database_url), [site.settings.state_folder], []
    if url.get_backend_name() == "sqlite" and url.database:
        folders.append(Path(url.database).parent)
    for folder in folders:
        with suppress(OSError):  # The folder does not exist yet, or is another user's.
            free.append(shutil.disk_usage(folder).free)
    return min(free, default=None)


def oldest_due_seconds(site: Site) -> float:
    """Return the seconds that the oldest email has waited, unless it is paused or stopped.

    Counted from `created_at` for queued email, as `due_at` moves on while the relay is down.
    """
    waiting = (
        Delivery.state.in_((State.QUEUED, State.DEFERRED, State.UNCERTAIN)),
        Delivery.due_at.is_not(None),
        or_(Delivery.newsletter_id.is_(None), Delivery.newsletter_id.not_in(HALTED_NEWSLETTERS)),
    )
    since = case((Delivery.state == State.QUEUED, Delivery.created_at), else_=Delivery.due_at)
    return _age(site.session.scalar(select(func.min(since)).where(*waiting)), site.at) or 0.0


def given_back(site: Site) -> float:
    """Return by how many more messages were given back as stale than sent, lately."""
    lately = SentPerMinute.minute > site.at - GIVEN_BACK_WITHIN
    more = func.sum(SentPerMinute.stale - SentPerMinute.number)
    return max(0, site.session.scalar(select(more).where(lately)) or 0)


def last_answer(site: Site) -> str:
    """Explain why email may wait: our quota is used up, or the codes of the relay's last reply."""
    quota = site.settings.daily_quota
    if quota is not None and throttle.left_within_a_day(site.session, site.at) >= quota:
        return "BELONG_DAILY_QUOTA is used up: the rest goes out within a day, by itself."
    said = select(Delivery.code, Delivery.enhanced, Delivery.phrase).where(
        Delivery.state.in_((State.QUEUED, State.DEFERRED)),
        Delivery.code.is_not(None),
        Delivery.due_at.is_not(None),
    )
    found = site.session.execute(said.order_by(Delivery.due_at.desc()).limit(1)).first()
    answer = " ".join(str(each) for each in found or () if each)
    return f"The relay’s last answer: {answer}." if answer else "Is the worker running?"


def oldest_request_seconds(site: Site) -> float:
    readable = Job.due_at <= site.at, Job.failures < jobs.MAX_FAILURES
    oldest = site.session.scalar(select(func.min(Job.due_at)).where(*readable))
    return _age(oldest, site.at) or 0.0


def requests(site: Site) -> float:
    """Count all requests, also those that are due in years, up to what the web lets wait."""
    some = select(Job.id).order_by(Job.id).limit(MAX_WAITING_JOBS).subquery()
    return site.session.scalar(select(func.count()).select_from(some)) or 0


def unreadable_requests(site: Site) -> float:
    unreadable = select(func.count(Job.id)).where(Job.failures >= jobs.MAX_FAILURES)
    return site.session.scalar(unreadable) or 0


def overdue_issues(site: Site) -> float:
    late = Newsletter.queued_at.is_(None), Newsletter.due_at < site.at - LATE
    return site.session.scalar(select(func.count(Newsletter.id)).where(*late)) or 0


def undecided_issues(site: Site) -> float:
    return len(_undecided(site))


def undecided_names(site: Site) -> str:
    return f"They are: {' '.join(_undecided(site))}."


def _undecided(site: Site) -> list[str]:
    """List the public ids of newsletters that were held or paused by the system long ago."""
    paused = (
        Newsletter.paused_at < site.at - UNDECIDED,
        Newsletter.stopped_at.is_(None),
        or_(Newsletter.is_late, Newsletter.is_refused),
    )
    waiting = or_(Newsletter.held_at < site.at - UNDECIDED, and_(*paused))
    found = select(Newsletter.public_id).where(waiting).order_by(Newsletter.id)
    return list(site.session.scalars(found))


def inbound_seconds(site: Site) -> float | None:
    """Return the seconds since polls of the mailbox for bounces began to fail; None without one."""
    last = last_polled(site.session)
    if last is None:
        return None
    return last.silent_seconds(site.at) if last.failures else 0.0


# Advice by the step at which reading the mailbox failed.
INBOUND_ADVICE = {
    "CONNECT": "Are its host and port right? Is its certificate valid for this name?",
    "TOKEN": "No access token: are the credentials right, and not revoked?",
    "LOGIN": "Are the user and password, or the credentials, right?",
    "SELECT": "Is there such a folder, and may we change it?",
    "FETCH": "A message could not be fetched.",
    "SEARCH": "Its messages could not be listed.",
    "CAPABILITY": "Its server must have MOVE (RFC 6851) and UIDPLUS (RFC 4315).",
    "MOVE": "Messages could not be moved to the folder for what was read.",
    "DELETE": "What was read could not be deleted.",
    "QUEUE": "Too much is waiting to be read. Is the worker running?",
}


def inbound_advice(site: Site) -> str:
    last = last_polled(site.session)
    return INBOUND_ADVICE.get(last.failed_step, "") if last else ""


def backup_seconds(site: Site) -> float | None:
    return _age(figures.noted_at(site.session, figures.BACKUP), site.at)


def backup_missing(site: Site) -> float | None:
    """Return 1 if `db backup` has a key and never ran; without a key, others may make backups."""
    is_wanted = bool(site.settings.backup_recipient)
    return float(backup_seconds(site) is None) if is_wanted else None


def failing_tasks(site: Site) -> float:
    """Return the number of periodic tasks that keep failing, which the worker notes each minute."""
    lately = Figure.name == figures.FAILING, Figure.noted_at > site.at - LATE
    return site.session.scalar(select(Figure.number).where(*lately)) or 0


def asked_of_lists(site: Site) -> float | None:
    """Return 1 if people of an imported list were asked since operators were last told."""
    if site.is_web:
        return None
    return float(not rate_limits.remaining(site.session, ASKED_NOTICE, NOTICE_RATE, site.at))


def unwritable(site: Site) -> float:
    """Count single emails of the last day that could not be rendered."""
    failed = Delivery.newsletter_id.is_(None), Delivery.phrase == UNWRITABLE.phrase
    found = select(func.count(Delivery.id)).where(*failed, Delivery.state == State.FAILED)
    return site.session.scalar(found.where(Delivery.finished_at > site.at - UNDECIDED)) or 0


def too_late(site: Site) -> float:
    """Count single emails that recently expired without a try."""
    untried = Delivery.newsletter_id.is_(None), Delivery.attempts == 0
    found = select(func.count(Delivery.id)).where(*untried, Delivery.state == State.EXPIRED)
    lately = Delivery.finished_at > site.at - ALERT_RATE.per
    return site.session.scalar(found.where(lately)) or 0


def deliveries(session: Session) -> dict[str, int]:
    """Count deliveries by state; those of issues whose rows are deleted are left out."""
    single = select(Delivery.state, func.count()).where(Delivery.newsletter_id.is_(None))
    copies = select(IssueCount.state, func.sum(IssueCount.number)).where(
        Newsletter.id == IssueCount.newsletter_id, Newsletter.counted_at.is_(None)
    )
    counts = Counter[str]()
    for statement in (single.group_by(Delivery.state), copies.group_by(IssueCount.state)):
        for state, number in session.execute(statement):
            counts[state] += number
    return {state.value: counts[state] for state in State}


def _age(last: datetime | None, at: datetime) -> float | None:
    return None if last is None else max(0.0, (at - last).total_seconds())
