"""Change an issue's state (release, undo, pause, resume, stop), and return its status."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session, defer

from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account
from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.db import lock_for_change, now, required
from belong_mail.core.encryption import Sealer
from belong_mail.delivery import pause as delivery_pause
from belong_mail.delivery.models import UNFINISHED, Delivery
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group
from belong_mail.members.models import INTRODUCE, Subscription
from belong_mail.newsletters import approval
from belong_mail.newsletters.checklist import require_valid
from belong_mail.newsletters.jobs import FollowIssue, SendTestCopies
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.service import InvalidState, report

# Pause, resume, …: raises InvalidState if that is impossible.
Verb = Callable[[Session, Newsletter], None]
UNDO_MINUTES = (1, 10, 60)
# Kinds of single emails about an issue; HELD asks leaders to decide.
TEST_COPY, OFFICE_COPY = "newsletter-test", "newsletter-copy"
OFFICE_ACTED, APPROVE, HELD = "office-acted", "approve-issue", "issue-held"
OF_AN_ISSUE = TEST_COPY, OFFICE_COPY, OFFICE_ACTED, APPROVE, HELD
# Scheduled or held.
WAITS = and_(
    Newsletter.queued_at.is_(None),
    or_(Newsletter.due_at.is_not(None), Newsletter.held_at.is_not(None)),
)
IS_NO_DRAFT = or_(WAITS, Newsletter.queued_at.is_not(None))
QUEUED = Newsletter.queued_at.is_not(None), Newsletter.stopped_at.is_(None)
_IS_PAUSED = and_(Newsletter.paused_at.is_not(None), Newsletter.stopped_at.is_(None))
_OPEN_ISSUES = (
    select(Newsletter)
    .where(or_(WAITS, _IS_PAUSED))
    .options(defer(Newsletter.text))
    .order_by(Newsletter.due_at, Newsletter.id)
)
# Values that make an issue a draft again.
DRAFT = {"due_at": None, "held_at": None, "released_by": None}


class InvalidLocalTime(Exception):
    """The clocks skip this local time; `instead` is one that exists."""

    def __init__(self, instead: datetime) -> None:
        super().__init__()
        self.instead = instead


@dataclass(frozen=True, slots=True)
class IssueStatus:
    """Where an issue stands: its state in a word, and the share that is done, from 0 to 1."""

    state: str
    share: float
    waiting: int
    counts: dict[str, int]

    @property
    def is_running(self) -> bool:
        return self.state in {"scheduled", "sending"}


def release(
    session: Session, newsletter: Newsletter, due_at: datetime, account_id: int | None = None
) -> None:
    """Schedule a draft or a held issue, for an account or a command. Raises InvalidState."""
    require_valid(newsletter)
    session.flush()
    if newsletter.group.has_ended(due_at) or approval.is_needed(session, newsletter):
        raise InvalidState
    is_free = Newsletter.queued_at.is_(None), Newsletter.due_at.is_(None), ~Newsletter.is_template
    released = {"due_at": due_at, "held_at": None, "released_by": account_id}
    _change(session, newsletter, Kind.RELEASED, *is_free, **released)


def approve(session: Session, newsletter: Newsletter, account: Account, seen: str) -> None:
    """Approve an issue with the content hash `seen`, and schedule it. Raises InvalidState."""
    found = approval.give(session, newsletter, account, seen)
    at = now() + timedelta(minutes=found.undo_minutes)
    due_at = found.due_at if found.due_at and found.due_at > now() else at
    release(session, newsletter, due_at, found.asked_by)


def release_held(session: Session, newsletter: Newsletter, account_id: int | None = None) -> None:
    """Send a held issue now. Raises InvalidState for any other."""
    if newsletter.held_at is None:
        raise InvalidState
    release(session, newsletter, now(), account_id)


def undo(session: Session, newsletter: Newsletter) -> None:
    """Turn a released issue into a draft again, unless it is queued. Raises InvalidState."""
    _change(session, newsletter, Kind.UNDONE, Newsletter.queued_at.is_(None), **DRAFT)
    approval.forget(session, newsletter)


def pause(session: Session, newsletter: Newsletter) -> None:
    """Mark an issue as paused: nothing more is sent until it is resumed. Raises InvalidState."""
    is_going = Newsletter.paused_at.is_(None), *QUEUED
    _change(session, newsletter, Kind.PAUSED, *is_going, paused_at=now())


def resume(session: Session, newsletter: Newsletter) -> None:
    """Resume an issue; no one gets it twice. Raises InvalidState, also if it must not be sent."""
    require_valid(newsletter)
    is_paused = Newsletter.paused_at.is_not(None), Newsletter.stopped_at.is_(None)
    going = {"paused_at": None, "is_refused": False, "is_late": False, "resumed_at": now()}
    _change(session, newsletter, Kind.RESUMED, *is_paused, **going)


def stop(session: Session, newsletter: Newsletter) -> None:
    """Mark an issue as stopped for good: no more copies are sent. Raises InvalidState."""
    _change(session, newsletter, Kind.STOPPED, *QUEUED, stopped_at=now())


def ask(
    session: Session,
    sealer: Sealer,
    newsletter: Newsletter,
    verb: Verb,
    office: Account | None = None,
) -> None:
    """Change an issue's state from a page, and queue a job about its copies.

    The worker updates its deliveries, and emails its leaders if the office did it.
    """
    verb(session, newsletter)
    follow(session, sealer, newsletter, office)


def follow(
    session: Session, sealer: Sealer, newsletter: Newsletter, office: Account | None = None
) -> None:
    """Queue a job that updates an issue's deliveries by its state."""
    by, done = (office.public_id, last_action(newsletter)) if office else ("", "")
    FollowIssue(newsletter.public_id, by, done).ask(session, sealer)


def act(session: Session, newsletter: Newsletter, verb: Verb) -> None:
    """Change an issue's state and its deliveries; for the worker and for commands."""
    verb(session, newsletter)
    move_copies(session, newsletter)


def move_copies(session: Session, newsletter: Newsletter) -> None:
    """Pause, resume or withdraw an issue's copies, by its state."""
    if newsletter.stopped_at is not None:
        delivery_pause.stop(session, newsletter.id)
    elif newsletter.paused_at is not None:
        delivery_pause.pause(session, newsletter.id)
    else:
        delivery_pause.resume(session, newsletter.id)


def retire(session: Session, group: Group) -> None:
    """Retire a group: stop its issues, and withdraw email that waits to be sent about it.

    Scheduled issues become drafts first. Waits for an issue that is being queued, then stops it.
    """
    groups.mark_retired(session, group)
    issues = Newsletter.group_id == group.id
    waiting = update(Newsletter).where(issues, Newsletter.queued_at.is_(None))
    session.execute(waiting.values(DRAFT))
    queued = select(Newsletter).where(issues, Newsletter.queued_at.is_not(None))
    for newsletter in session.scalars(queued).all():
        if issue_status(session, newsletter).state in {"sending", "paused"}:
            act(session, newsletter, stop)
    members = select(Subscription.id).where(Subscription.group_id == group.id)
    # Emails with stored arguments answer someone's input; they are sent even so.
    is_open = Delivery.newsletter_id.is_(None), Delivery.sealed_arguments.is_(None)
    delivery_pause.withdraw(session, Delivery.subscription_id.in_(members), *is_open)
    delivery_pause.withdraw(session, Delivery.kind == INTRODUCE, Delivery.about_id.in_(members))
    written = select(Newsletter.id).where(issues)
    delivery_pause.withdraw(session, Delivery.kind.in_(OF_AN_ISSUE), Delivery.about_id.in_(written))


def ask_for_test(
    session: Session, sealer: Sealer, newsletter: Newsletter, readers: list[Account]
) -> None:
    """Queue a job that sends leaders the issue as it is now, in each language that it has."""
    audit.record(session, Kind.TEST_SENT, newsletter=newsletter)
    wanted = SendTestCopies(newsletter.public_id, [each.public_id for each in readers])
    wanted.ask(session, sealer)


def last_action(newsletter: Newsletter) -> str:
    """Return in a word what was last done with an issue, by its own row."""
    if newsletter.stopped_at is not None:
        return "stopped"
    if newsletter.paused_at is not None:
        return "paused"
    if newsletter.resumed_at is not None:
        return "resumed"
    if newsletter.due_at is not None or newsletter.queued_at is not None:
        return "sent"
    return "held" if newsletter.held_at is not None else "canceled"


def issue_status(session: Session, newsletter: Newsletter) -> IssueStatus:
    counts = report(session, newsletter)
    unfinished = sum(counts[state] for state in UNFINISHED)
    total = counts["recipients"]
    share = 1 - unfinished / total if total else float(newsletter.queued_at is not None)
    return IssueStatus(_state(newsletter, unfinished), share, unfinished, counts)


def _state(newsletter: Newsletter, unfinished: int) -> str:
    if newsletter.queued_at is None:
        if newsletter.held_at is not None:
            return "held"
        return "scheduled" if newsletter.due_at is not None else "draft"
    if newsletter.stopped_at is not None:
        return "stopped"
    if not unfinished:
        return "sent"
    return "paused" if newsletter.paused_at is not None else "sending"


def open_issues(session: Session) -> list[Newsletter]:
    """List the issues that wait for their time or for a decision."""
    return list(session.scalars(_OPEN_ISSUES))


def queued_issues(session: Session, skip: int, most: int) -> list[Newsletter]:
    """List the issues that were queued, newest first."""
    found = select(Newsletter).where(Newsletter.queued_at.is_not(None))
    in_turn = found.order_by(Newsletter.queued_at.desc(), Newsletter.id.desc())
    part = in_turn.offset(skip).limit(most)
    return list(session.scalars(part.options(defer(Newsletter.text))))


def find_released(session: Session, public_id: str) -> Newsletter:
    """Find an issue of any group that is not a draft, to read or to change. Raises NotFound."""
    found = select(Newsletter).where(Newsletter.public_id == public_id, IS_NO_DRAFT)
    newsletter: Newsletter | None = session.scalar(lock_for_change(session, found))
    return required(newsletter, accounts.NotFound)


def local_moment(local: datetime, zone: ZoneInfo) -> datetime:
    """Convert a local time, the first if it happens twice. Raises InvalidLocalTime if skipped."""
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    back = moment.astimezone(zone)
    if back.replace(tzinfo=None) != local:
        raise InvalidLocalTime(back)
    return moment


def _change(
    session: Session,
    newsletter: Newsletter,
    kind: Kind,
    *is_so: ColumnElement[bool],
    **values: object,
) -> None:
    """Update an issue if it matches `is_so`, and record it for the audit. Raises InvalidState."""
    changed = update(Newsletter).where(Newsletter.id == newsletter.id, *is_so).values(values)
    if session.scalar(changed.returning(Newsletter.id)) is None:
        raise InvalidState
    session.refresh(newsletter)
    audit.record(session, kind, newsletter=newsletter)
