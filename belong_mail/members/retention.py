"""Delete old data about members."""

from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, or_, select, update

from belong_mail.core.jobs import Job
from belong_mail.core.retention import (
    ADDRESS_CHANGE_AGE,
    ENDED_AGE,
    NO_AGE,
    PENDING_CONFIRMATION_AGE,
    in_batches,
    older_than,
)
from belong_mail.delivery.models import UNFINISHED, Delivery
from belong_mail.delivery.work import RETENTION
from belong_mail.groups.models import Group
from belong_mail.members import import_tasks, staff_code_tasks
from belong_mail.members.imports import Import
from belong_mail.members.models import (
    AddressChange,
    ManageSession,
    PendingConfirmation,
    Subscription,
    WaitlistEntry,
)


def delivered_introductions(_at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Match introductions that the leaders have received, and those of people who left."""
    is_kept = Subscription.wrapped_introduction.is_not(None)
    has_left = Subscription.ended_at.is_not(None)
    return is_kept, or_(has_left, ~_waits("about_id", "introduce-member"))


def ended_subscriptions(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Match subscriptions that ended long ago, are suppressed, or were never confirmed.

    All but the suppressed are kept while a confirmation is pending.
    """
    is_pending = exists().where(PendingConfirmation.subscription_id == Subscription.id)
    is_asked_for = exists().where(Job.subscription_id == Subscription.id)
    over = or_(
        (Subscription.ended_at < at - ENDED_AGE) & ~is_pending,
        Subscription.is_suppressed,
        Subscription.confirmed_at.is_(None) & ~is_pending,
    )
    return Subscription.is_inactive(), over, ~is_asked_for, ~_waits("subscription_id")


def ended_waitlist_entries(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Match requests whose last day is over, and those for groups that have ended."""
    retired = select(Group.id).where(Group.retired_at.is_not(None))
    return (or_(WaitlistEntry.kept_until < at.date(), WaitlistEntry.group_id.in_(retired)),)


def _waits(column: str, kind: str | None = None) -> ColumnElement[bool]:
    """Match subscriptions with an unfinished delivery to them or about them."""
    waits = exists().where(
        getattr(Delivery, column) == Subscription.id,
        or_(Delivery.state.in_(UNFINISHED), Delivery.due_at.is_not(None)),
    )
    return waits.where(Delivery.kind == kind) if kind else waits


RETENTION["introductions"] = in_batches(
    update(Subscription).values(wrapped_introduction=None), delivered_introductions
)
RETENTION["codes that prove staff"] = in_batches(delete(Delivery), staff_code_tasks.sent_codes)
RETENTION["pending confirmations"] = in_batches(
    delete(PendingConfirmation),
    older_than(PendingConfirmation.created_at, PENDING_CONFIRMATION_AGE),
)
RETENTION["invitations from a list"] = in_batches(
    delete(PendingConfirmation), import_tasks.unanswered
)
RETENTION["imports"] = in_batches(delete(Import), import_tasks.ended_imports)
RETENTION["manage sessions"] = in_batches(
    delete(ManageSession), older_than(ManageSession.expires_at, NO_AGE)
)
RETENTION["address changes"] = in_batches(
    delete(AddressChange), older_than(AddressChange.created_at, ADDRESS_CHANGE_AGE)
)
RETENTION["subscriptions"] = in_batches(delete(Subscription), ended_subscriptions)
RETENTION["waitlist entries"] = in_batches(delete(WaitlistEntry), ended_waitlist_entries)
