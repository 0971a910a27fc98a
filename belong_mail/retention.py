"""What is kept how long: the whole clock, on one page."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from belong_mail import limits
from belong_mail.accounts.models import BrowserSession, SignIn
from belong_mail.contact import receipts
from belong_mail.contact import service as contact
from belong_mail.contact.models import ContactMessage, Thread
from belong_mail.db import now
from belong_mail.groups.models import Group
from belong_mail.interests.models import Interest
from belong_mail.meetings import service as meetings
from belong_mail.meetings.models import Reminder
from belong_mail.memberships.models import AddressChange, Sheet
from belong_mail.sending.models import Delivery, Sent, State
from belong_mail.shared_mailbox.models import MailboxProposal
from belong_mail.subscriptions.models import Request, Subscription, Wish

WISH = timedelta(days=7)
CHANGE = timedelta(days=7)
ENDED = timedelta(days=30)
MAILED = timedelta(days=30)
SESSION = timedelta(days=1)
UNREADABLE = timedelta(days=7)
TOLD = timedelta(days=1)
DAYS = timedelta(days=2)
MOST = 500
"""Rows of a kind that go at a time, so that nobody waits for that transaction for long."""
UNFINISHED = (State.QUEUED, State.SENDING, State.DEFERRED)

Which = Callable[[datetime], tuple[ColumnElement[bool], ...]]
Chore = Callable[[Session, datetime], int]
"""Does away with some of one kind of rows; returns how many, of which MOST says: look again."""


def purge(session: Session, at: datetime | None = None) -> dict[str, int]:
    """Remove all that has been kept long enough; return how many rows of each kind went."""
    at = at or now()
    removed = dict.fromkeys(CHORES, 0)
    for name, chore in CHORES.items():
        gone = MOST
        while gone == MOST:
            gone = chore(session, at)
            removed[name] += gone
    return removed


def _some(statement: Any, which: Which, session: Session, at: datetime) -> int:
    """Let a statement act on the first rows of those; what another worker holds is left for now."""
    model = statement.entity_description["entity"]
    found = select(model.id).where(*which(at)).limit(MOST).with_for_update(skip_locked=True)
    ids = list(session.scalars(found))
    if ids:
        some = statement.where(model.id.in_(ids))
        session.execute(some.execution_options(synchronize_session=False))
    return len(ids)


def _older(column: Any, age: timedelta) -> Which:
    return lambda at: (column < at - age,)


def _introductions(_at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Those that the leads have been told."""
    is_kept = Subscription.wrapped_introduction.is_not(None)
    return is_kept, ~_waits("about_id", "introduce-member")


def _told(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Finished messages, of whom they were for and what only they said, such as a link."""
    return (
        Delivery.sealed_arguments.is_not(None),
        Delivery.created_at < at - TOLD,
        Delivery.finished_at < at - TOLD,
        Delivery.due_at.is_(None),
    )


def _subscriptions(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Ended a while ago, left alone for ever, or never confirmed and not asked about any more."""
    has_wish = exists().where(Wish.subscription_id == Subscription.id)
    is_asked_for = exists().where(Request.subscription_id == Subscription.id)
    over = or_(
        (Subscription.ended_at < at - ENDED) & ~has_wish,
        Subscription.is_suppressed,
        Subscription.confirmed_at.is_(None) & ~has_wish,
    )
    return Subscription.is_inactive(), over, ~is_asked_for, ~_waits("subscription_id")


def _interests(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Notes whose last day is over, and those of groups that will not start."""
    retired = select(Group.id).where(Group.retired_at.is_not(None))
    return (or_(Interest.kept_until < at.date(), Interest.group_id.in_(retired)),)


def _contact_messages(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Mailed, or sent twice without an answer: then an operator has been told for as long."""
    is_mailed = exists().where(
        Delivery.about_id == ContactMessage.id,
        Delivery.kind == contact.KIND,
        Delivery.state.in_((State.ACCEPTED, State.UNCERTAIN)),
        Delivery.due_at.is_(None),
        Delivery.finished_at < at - MAILED,
    )
    return (is_mailed,)


def _deliveries(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Single messages that are done; an issue's deliveries stay with the issue's report.

    What the office was written and has not got stays too, until an operator has seen to it.
    """
    is_owed = (Delivery.kind == contact.KIND) & exists().where(
        ContactMessage.id == Delivery.about_id
    )
    return (
        Delivery.newsletter_id.is_(None),
        Delivery.created_at < at - MAILED,
        Delivery.finished_at < at - MAILED,
        Delivery.due_at.is_(None),
        ~is_owed,
    )


def _waits(column: str, kind: str | None = None) -> ColumnElement[bool]:
    """Tell whether a delivery for (or about) a subscription is not finished."""
    waits = exists().where(
        getattr(Delivery, column) == Subscription.id,
        or_(Delivery.state.in_(UNFINISHED), Delivery.due_at.is_not(None)),
    )
    return waits.where(Delivery.kind == kind) if kind else waits


def _meetings(session: Session, at: datetime) -> int:
    gone = meetings.over(session, at)[:MOST]
    for meeting in gone:
        session.delete(meeting)
    session.flush()
    return len(gone)


def _allowances(session: Session, at: datetime) -> int:
    """Used ones that are whole again; and how many messages left on days that are over."""
    limits.purge(session, at)
    session.execute(delete(Sent).where(Sent.minute < at - DAYS))
    return 0


def _unreadable(at: datetime) -> tuple[ColumnElement[bool], ...]:
    return Request.due_at < at - UNREADABLE, Request.failures > 0


CHORES: dict[str, Chore] = {
    "introductions": partial(
        _some, update(Subscription).values(wrapped_introduction=None), _introductions
    ),
    "links": partial(_some, update(Delivery).values(sealed_to=None, sealed_arguments=None), _told),
    "wishes": partial(_some, delete(Wish), _older(Wish.created_at, WISH)),
    "sessions": partial(_some, delete(BrowserSession), _older(BrowserSession.started_at, SESSION)),
    "sign ins": partial(_some, delete(SignIn), _older(SignIn.created_at, SESSION)),
    "sheets": partial(_some, delete(Sheet), _older(Sheet.expires_at, timedelta(0))),
    "address changes": partial(
        _some, delete(AddressChange), _older(AddressChange.created_at, CHANGE)
    ),
    "mailbox proposals": partial(
        _some, delete(MailboxProposal), _older(MailboxProposal.created_at, CHANGE)
    ),
    "subscriptions": partial(_some, delete(Subscription), _subscriptions),
    "interests": partial(_some, delete(Interest), _interests),
    "contact messages": partial(_some, delete(ContactMessage), _contact_messages),
    "contact threads": partial(_some, delete(Thread), _older(Thread.last_at, receipts.AGE)),
    "deliveries": partial(_some, delete(Delivery), _deliveries),
    "meetings": _meetings,
    "reminders": partial(
        _some, delete(Reminder), lambda at: (Reminder.held_on < (at - MAILED).date(),)
    ),
    "unreadable requests": partial(_some, delete(Request), _unreadable),
    "allowances": _allowances,
}
