"""A lead's verbs about an issue: release, undo, pause, resume, stop; and where it stands."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Update, func, select, update
from sqlalchemy.orm import Session

from belong_mail.db import now
from belong_mail.groups.models import Group
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.service import NotNow, report
from belong_mail.outbox import service as outbox
from belong_mail.sending import halting
from belong_mail.sending.models import State
from belong_mail.subscriptions.models import Subscription

FEW = 10
"""Fewer are not counted to a lead."""
UNDO_MINUTES = (1, 10, 60)
UNFINISHED = (State.QUEUED, State.SENDING, State.DEFERRED)


class NoSuchTime(Exception):
    """The clocks go forward over this local time; `instead` exists."""

    def __init__(self, instead: datetime) -> None:
        super().__init__()
        self.instead = instead


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an issue stands: its state in a word, and how much of it is done, from 0 to 1."""

    state: str
    share: float
    counts: dict[str, int]

    @property
    def is_running(self) -> bool:
        return self.state in {"scheduled", "sending"}


def release(session: Session, newsletter: Newsletter, due_at: datetime) -> None:
    """Let a draft (or a held issue) go out at a time. Raises NotNow."""
    free = update(Newsletter).where(
        Newsletter.id == newsletter.id,
        Newsletter.queued_at.is_(None),
        Newsletter.due_at.is_(None),
    )
    _change(session, free.values(due_at=due_at, held_at=None))


def undo(session: Session, newsletter: Newsletter) -> None:
    """Take a released issue back to the drafts, while nothing has left. Raises NotNow."""
    waiting = update(Newsletter).where(
        Newsletter.id == newsletter.id, Newsletter.queued_at.is_(None)
    )
    _change(session, waiting.values(due_at=None, held_at=None))


def pause(session: Session, newsletter: Newsletter) -> None:
    """Send nothing more until the issue is resumed. Raises NotNow."""
    _change(session, _going(newsletter).values(paused_at=now()))
    halting.pause(session, newsletter.id)


def resume(session: Session, newsletter: Newsletter) -> None:
    """Go on; nobody gets the issue again. Raises NotNow."""
    paused = update(Newsletter).where(
        Newsletter.id == newsletter.id,
        Newsletter.paused_at.is_not(None),
        Newsletter.stopped_at.is_(None),
    )
    _change(session, paused.values(paused_at=None, is_refused=False))
    halting.resume(session, newsletter.id)


def stop(session: Session, newsletter: Newsletter) -> None:
    """Stop an issue for good: what has not left is withdrawn. Raises NotNow."""
    queued = update(Newsletter).where(
        Newsletter.id == newsletter.id,
        Newsletter.queued_at.is_not(None),
        Newsletter.stopped_at.is_(None),
    )
    _change(session, queued.values(stopped_at=now()))
    halting.stop(session, newsletter.id)


def ask_for_test(session: Session, newsletter: Newsletter, account_id: int) -> None:
    """Mail the issue, as it is now, to the lead alone."""
    outbox.post(session, "newsletter-test", account_id=account_id, about_id=newsletter.id)


def standing(session: Session, newsletter: Newsletter) -> Standing:
    """Tell where an issue stands."""
    counts = report(session, newsletter)
    unfinished = sum(counts[state] for state in UNFINISHED)
    total = counts["recipients"]
    share = 1 - unfinished / total if total else float(newsletter.queued_at is not None)
    return Standing(_state(newsletter, unfinished), share, counts)


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


def local_moment(local: datetime, zone: ZoneInfo) -> tuple[datetime, bool]:
    """Turn a local time into a moment, and tell whether it comes twice that night.

    Of two, the first is taken. Raises NoSuchTime for one that the clocks skip.
    """
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    moment = first.astimezone(UTC)
    back = moment.astimezone(zone)
    if back.replace(tzinfo=None) != local:
        raise NoSuchTime(back)
    return moment, first.utcoffset() != second.utcoffset()


def _going(newsletter: Newsletter) -> Update:
    return update(Newsletter).where(
        Newsletter.id == newsletter.id,
        Newsletter.queued_at.is_not(None),
        Newsletter.paused_at.is_(None),
        Newsletter.stopped_at.is_(None),
    )


def _change(session: Session, changed: Update) -> None:
    if session.scalar(changed.returning(Newsletter.id)) is None:
        raise NotNow


def rounded_members(session: Session, group: Group) -> int:
    """Count a group's members to the nearest ten; below ten the count is 0: “a few”."""
    counted = select(func.count(Subscription.id)).where(
        Subscription.group_id == group.id, Subscription.is_active
    )
    return rounded(session.scalar(counted) or 0)


def rounded(number: int) -> int:
    """Round to tens, so that one person's coming or going is not to be seen; 0 is “a few”."""
    return 0 if number < FEW else round(number, -1)
