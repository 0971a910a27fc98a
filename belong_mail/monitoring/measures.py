"""Measure the state of the site, always in totals, never of one group or person."""

import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

from sqlalchemy import and_, case, func, or_, select, union_all
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from belong_mail.contact import service as contact
from belong_mail.contact.models import ContactMessage
from belong_mail.core import jobs
from belong_mail.core.db import NOW, ago, is_older
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import ALERT_RATE, MAX_WAITING_JOBS, NOTICE_RATE, is_used_up
from belong_mail.core.services import Settings
from belong_mail.delivery import throttle
from belong_mail.delivery.models import (
    HALTED_NEWSLETTERS,
    Chunk,
    Delivery,
    IssueCount,
    SentPerMinute,
    State,
)
from belong_mail.delivery.outcomes import UNWRITABLE
from belong_mail.inbound.models import NEWEST_POLL, InboundMailbox, last_polled
from belong_mail.members.imports import ASKED_NOTICE
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops import figures
from belong_mail.ops.figures import Figure

# Delays that are reported: of anything due, and of a decision about a newsletter.
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
    def undelivered(self) -> list[tuple[ContactMessage, Delivery | None]]:
        """The messages to the office or to leaders that were not delivered."""
        return contact.undelivered(self.session)


# Turns the result of a check's query into its value; None if the check does not apply.
Measure = Callable[[Site, Any], float | None]


def plain(site: Site, found: datetime | float | None) -> float:
    """Return a number, or the seconds since a time; 0 where nothing was found."""
    return (age(site, found) if isinstance(found, datetime) else max(0, found or 0)) or 0


def age(site: Site, since: datetime | None) -> float | None:
    return None if since is None else max(0.0, (site.at - since).total_seconds())


def worker_missing(site: Site, pulse: datetime | None) -> float | None:
    return float(pulse is None) if site.has_relay else None


def worker_seconds(site: Site, pulse: datetime | None) -> float | None:
    return age(site, pulse) if site.has_relay else None


def worker_ahead_seconds(site: Site, pulse: datetime | None) -> float | None:
    if pulse is None or not site.has_relay:
        return None
    return max(0.0, (pulse - site.at).total_seconds())


def disk_free_bytes(site: Site, _found: None) -> float | None:
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


def undecided_names(site: Site) -> str:
    found = select(Newsletter.public_id).where(IS_UNDECIDED).order_by(Newsletter.id)
    return f"They are: {' '.join(site.session.scalars(found))}."


# Advice by the step at which reading the mailbox failed.
INBOUND_ADVICE = {
    "CONNECT": "Are its host and port right? Is its certificate valid for this name?",
    "TOKEN": "No access token: are the credentials right, and not revoked?",
    "LOGIN": "Are the user and password, or the credentials, right?",
    "SELECT": "Is there such a folder, and may we change it?",
    "CAPABILITY": "Its server must have MOVE (RFC 6851) and UIDPLUS (RFC 4315).",
    "QUEUE": "Too much is waiting to be read. Is the worker running?",
}


def inbound_advice(site: Site) -> str:
    last = last_polled(site.session)
    return INBOUND_ADVICE.get(last.failed_step, "") if last else ""


def backup_age(site: Site, backup_at: datetime | None) -> float | None:
    """Return infinity if `db backup` never ran; without a key None: there may be other backups."""
    is_missed = backup_at is None and site.settings.backup_recipient
    return inf if is_missed else age(site, backup_at)


_LAST_SENT = select(func.max(SentPerMinute.minute)).scalar_subquery()
# Since when the oldest email waits, unless it is paused or stopped: `created_at` of queued email,
# as its `due_at` moves on while the relay is down. Copies of an issue that are not claimed yet wait
# since any email was sent, or else since the issue was queued.
OLDEST_DUE = select(
    func.min(
        union_all(
            select(
                case(
                    (Delivery.state == State.QUEUED, Delivery.created_at), else_=Delivery.due_at
                ).label("since")
            ).where(
                Delivery.state.in_((State.QUEUED, State.DEFERRED, State.UNCERTAIN)),
                Delivery.due_at.is_not(None),
                or_(
                    Delivery.newsletter_id.is_(None),
                    Delivery.newsletter_id.not_in(HALTED_NEWSLETTERS),
                ),
            ),
            select(
                case((Newsletter.queued_at < _LAST_SENT, _LAST_SENT), else_=Newsletter.queued_at)
            ).where(
                Chunk.newsletter_id == Newsletter.id,
                Chunk.inserted.is_(None),
                Newsletter.id.not_in(HALTED_NEWSLETTERS),
            ),
        )
        .subquery()
        .c.since
    )
)
# How many more messages were given back as stale than sent, lately.
GIVEN_BACK = select(func.sum(SentPerMinute.stale - SentPerMinute.number)).where(
    SentPerMinute.minute > ago(GIVEN_BACK_WITHIN)
)
OLDEST_REQUEST = select(func.min(Job.due_at)).where(
    Job.due_at <= NOW, Job.failures < jobs.MAX_FAILURES
)
# All requests, also those that are due in years, up to the number that the web lets wait.
REQUESTS = select(func.count()).select_from(
    select(Job.id).order_by(Job.id).limit(MAX_WAITING_JOBS).subquery()
)
UNREADABLE_REQUESTS = select(func.count(Job.id)).where(Job.failures >= jobs.MAX_FAILURES)
OVERDUE_ISSUES = select(func.count(Newsletter.id)).where(
    Newsletter.queued_at.is_(None), Newsletter.due_at < ago(LATE)
)
# Newsletters that were held or paused long ago. The web may take `paused_at` away.
IS_UNDECIDED = or_(
    is_older(Newsletter.held_at, UNDECIDED),
    and_(
        Newsletter.id.in_(HALTED_NEWSLETTERS),
        is_older(func.coalesce(Newsletter.paused_at, Newsletter.queued_at), UNDECIDED),
    ),
)
UNDECIDED_ISSUES = select(func.count(Newsletter.id)).where(IS_UNDECIDED)
# Since when polls of the mailbox for bounces have failed; if they do not, the current time.
INBOUND_FAILS = (
    select(
        case(
            (InboundMailbox.failures == 0, NOW),
            else_=func.coalesce(InboundMailbox.looked_at, InboundMailbox.first_tried_at),
        )
    )
    .order_by(NEWEST_POLL)
    .limit(1)
)
BACKUP = select(Figure.noted_at).where(Figure.name == figures.BACKUP)
# The number of periodic tasks that keep failing, which the worker notes each minute.
FAILING_TASKS = select(Figure.number).where(
    Figure.name == figures.FAILING, Figure.noted_at > ago(LATE)
)
# Whether people of an imported list were asked since operators were last told.
ASKED_OF_LISTS = select(is_used_up(ASKED_NOTICE, NOTICE_RATE))
_SINGLE = select(func.count(Delivery.id)).where(Delivery.newsletter_id.is_(None))
# Single emails of the last day that could not be rendered.
UNWRITABLE_EMAILS = _SINGLE.where(
    Delivery.phrase == UNWRITABLE.phrase,
    Delivery.state == State.FAILED,
    Delivery.finished_at > ago(UNDECIDED),
)
# Single emails that recently expired without a try.
TOO_LATE = _SINGLE.where(
    Delivery.attempts == 0,
    Delivery.state == State.EXPIRED,
    Delivery.finished_at > ago(ALERT_RATE.per),
)


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
