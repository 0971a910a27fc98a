"""What is kept how long: the whole clock, on one page."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Delete, Update, delete, exists, or_, select, update
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
from belong_mail.sending.models import Delivery, State
from belong_mail.shared_mailbox.models import MailboxProposal
from belong_mail.subscriptions.models import Request, Subscription, Wish

WISH = timedelta(days=7)
CHANGE = timedelta(days=7)
ENDED = timedelta(days=30)
MAILED = timedelta(days=30)
SESSION = timedelta(days=1)
UNREADABLE = timedelta(days=7)
TOLD = timedelta(days=1)

UNFINISHED = (State.QUEUED, State.SENDING, State.DEFERRED)


def purge(session: Session, at: datetime | None = None) -> dict[str, int]:
    """Remove what has been kept long enough; return how many rows of each kind went."""
    at = at or now()
    told = update(Subscription).where(
        Subscription.wrapped_introduction.is_not(None), ~_waits("about_id", "introduce-member")
    )
    session.execute(told.values(wrapped_introduction=None))
    session.execute(_told_once(at))
    limits.purge(session, at)
    return {
        "wishes": _remove(session, delete(Wish).where(Wish.created_at < at - WISH)),
        "sessions": _remove(
            session, delete(BrowserSession).where(BrowserSession.started_at < at - SESSION)
        ),
        "sign ins": _remove(session, delete(SignIn).where(SignIn.created_at < at - SESSION)),
        "sheets": _remove(session, delete(Sheet).where(Sheet.expires_at < at)),
        "address changes": _remove(
            session, delete(AddressChange).where(AddressChange.created_at < at - CHANGE)
        ),
        "mailbox proposals": _remove(
            session, delete(MailboxProposal).where(MailboxProposal.created_at < at - CHANGE)
        ),
        "subscriptions": _remove(session, _subscriptions(at)),
        "interests": _remove(session, _interests(at)),
        "contact messages": _remove(session, _contact_messages(at)),
        "contact threads": _remove(
            session, delete(Thread).where(Thread.last_at < at - receipts.AGE)
        ),
        "deliveries": _remove(session, _deliveries(at)),
        "meetings": _meetings(session, at),
        "reminders": _remove(
            session, delete(Reminder).where(Reminder.held_on < (at - MAILED).date())
        ),
        "unreadable requests": _remove(
            session, delete(Request).where(Request.due_at < at - UNREADABLE, Request.failures > 0)
        ),
    }


def _subscriptions(at: datetime) -> Delete:
    """Ended a while ago, left alone for ever, or never confirmed and not asked about any more."""
    has_wish = exists().where(Wish.subscription_id == Subscription.id)
    is_asked_for = exists().where(Request.subscription_id == Subscription.id)
    over = or_(
        (Subscription.ended_at < at - ENDED) & ~has_wish,
        Subscription.is_suppressed,
        Subscription.confirmed_at.is_(None) & ~has_wish,
    )
    return delete(Subscription).where(over, ~is_asked_for, ~_waits("subscription_id"))


def _interests(at: datetime) -> Delete:
    """Notes whose last day is over, and those of groups that will not start."""
    retired = select(Group.id).where(Group.retired_at.is_not(None))
    over = or_(Interest.kept_until < at.date(), Interest.group_id.in_(retired))
    return delete(Interest).where(over)


def _meetings(session: Session, at: datetime) -> int:
    gone = meetings.over(session, at)
    for meeting in gone:
        session.delete(meeting)
    session.flush()
    return len(gone)


def _contact_messages(at: datetime) -> Delete:
    """Mailed, or sent twice without an answer: then an operator has been told for as long."""
    mailed = select(Delivery.about_id).where(
        Delivery.kind == contact.KIND,
        Delivery.state.in_((State.ACCEPTED, State.UNCERTAIN)),
        Delivery.due_at.is_(None),
        Delivery.finished_at < at - MAILED,
    )
    return delete(ContactMessage).where(ContactMessage.id.in_(mailed))


def _deliveries(at: datetime) -> Delete:
    """Single messages that are done; an issue's deliveries stay with the issue's report.

    What the office was written and has not got stays too, until an operator has seen to it.
    """
    is_owed = (Delivery.kind == contact.KIND) & exists().where(
        ContactMessage.id == Delivery.about_id
    )
    return delete(Delivery).where(
        Delivery.newsletter_id.is_(None),
        Delivery.finished_at < at - MAILED,
        Delivery.due_at.is_(None),
        ~is_owed,
    )


def _told_once(at: datetime) -> Update:
    """Forget whom a finished message was for, and what only it said, such as a link."""
    done = update(Delivery).where(
        Delivery.sealed_arguments.is_not(None),
        Delivery.finished_at < at - TOLD,
        Delivery.due_at.is_(None),
    )
    return done.values(sealed_to=None, sealed_arguments=None)


def _waits(column: str, kind: str | None = None) -> ColumnElement[bool]:
    """Tell whether a delivery for (or about) a subscription is not finished."""
    waits = exists().where(
        getattr(Delivery, column) == Subscription.id,
        or_(Delivery.state.in_(UNFINISHED), Delivery.due_at.is_not(None)),
    )
    return waits.where(Delivery.kind == kind) if kind else waits


def _remove(session: Session, gone: Delete) -> int:
    result: Any = session.execute(gone.execution_options(synchronize_session=False))
    return int(result.rowcount)
