"""The worker's entries for members: emails, jobs, retention and wrapped columns."""

from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, or_, select, update

from belong_mail.core.jobs import Job
from belong_mail.core.retention import (
    ADDRESS_CHANGE_AGE,
    ENDED_AGE,
    IMPORT_AGE,
    NO_AGE,
    PENDING_CONFIRMATION_AGE,
    in_batches,
    older_than,
)
from belong_mail.delivery.models import UNFINISHED, Delivery
from belong_mail.delivery.room import Room
from belong_mail.delivery.work import WrappedColumn
from belong_mail.groups.models import Group
from belong_mail.members import (
    emails,
    import_tasks,
    reminders,
    self_service_tasks,
    service,
    staff_code_tasks,
    staff_codes,
    tasks,
    waitlist_tasks,
)
from belong_mail.members.erasure import ERASURE_COLUMN
from belong_mail.members.imports import BATCH_COLUMN, Import
from belong_mail.members.models import (
    AddressChange,
    Erasure,
    ManageSession,
    PendingConfirmation,
    Subscription,
    WaitlistEntry,
)
from belong_mail.members.wrapped_fields import ADDRESS_COLUMN, NAME_COLUMN

INTRODUCTION_COLUMN = "subscriptions.wrapped_introduction"


def delivered_introductions(_at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Select those that the leads have been told, and of who has left."""
    is_kept = Subscription.wrapped_introduction.is_not(None)
    has_left = Subscription.ended_at.is_not(None)
    return is_kept, or_(has_left, ~_waits("about_id", "introduce-member"))


def ended_subscriptions(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Select those that ended a while ago, are left alone for ever, or were never confirmed.

    A never confirmed one goes when no confirmation waits for it any more.
    """
    has_wish = exists().where(PendingConfirmation.subscription_id == Subscription.id)
    is_asked_for = exists().where(Job.subscription_id == Subscription.id)
    over = or_(
        (Subscription.ended_at < at - ENDED_AGE) & ~has_wish,
        Subscription.is_suppressed,
        Subscription.confirmed_at.is_(None) & ~has_wish,
    )
    return Subscription.is_inactive(), over, ~is_asked_for, ~_waits("subscription_id")


def ended_waitlist_entries(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Select entries whose last day is over, and those of groups that will not start."""
    retired = select(Group.id).where(Group.retired_at.is_not(None))
    return (or_(WaitlistEntry.kept_until < at.date(), WaitlistEntry.group_id.in_(retired)),)


def _waits(column: str, kind: str | None = None) -> ColumnElement[bool]:
    """Tell whether a delivery for (or about) a subscription is not finished."""
    waits = exists().where(
        getattr(Delivery, column) == Subscription.id,
        or_(Delivery.state.in_(UNFINISHED), Delivery.due_at.is_not(None)),
    )
    return waits.where(Delivery.kind == kind) if kind else waits


EMAILS = {
    "confirm-subscription": emails.confirmation_email,
    "group-starts": emails.confirmation_email,
    "welcome-member": emails.welcome_email,
    "already-member": emails.already_email,
    "introduce-member": emails.introduction_email,
    "my-groups": emails.link_email,
    "no-groups": emails.no_groups_email,
    "email-again": emails.email_again_email,
    "my-copy": emails.copy_email,
    "erased": emails.erasure_receipt_email,
    "change-address": emails.confirm_change_email,
    tasks.REMOVED: emails.removed_email,
    "address-changed": emails.address_changed_email,
    staff_codes.CODE: emails.code_email,
    import_tasks.INVITED: emails.invitation_email,
    import_tasks.INVITED_AGAIN: emails.invitation_email,
    reminders.REMINDER: reminders.reminder_email,
}
TASKS = {
    "join": tasks.join,
    staff_codes.CODE: staff_code_tasks.send_code,
    staff_codes.JOIN: staff_code_tasks.join,
    service.GRANTED: tasks.complete_confirmation,
    "interest": waitlist_tasks.keep_entry,
    "never-mail": waitlist_tasks.never_mail,
    "my-groups": self_service_tasks.my_groups,
    "email-again": self_service_tasks.email_again,
    "lift": self_service_tasks.lift,
    "my-copy": self_service_tasks.my_copy,
    "erase": self_service_tasks.erase,
    "change-address": self_service_tasks.change_address,
    "move-address": self_service_tasks.move_address,
    service.REMOVAL: tasks.receive_removal,
}
RETENTION = {
    "introductions": in_batches(
        update(Subscription).values(wrapped_introduction=None), delivered_introductions
    ),
    "codes that prove staff": in_batches(delete(Delivery), staff_code_tasks.sent_codes),
    "pending confirmations": in_batches(
        delete(PendingConfirmation),
        older_than(PendingConfirmation.created_at, PENDING_CONFIRMATION_AGE),
    ),
    "invitations from a list": in_batches(delete(PendingConfirmation), import_tasks.unanswered),
    "imports": in_batches(delete(Import), import_tasks.ended_imports),
    "manage sessions": in_batches(
        delete(ManageSession), older_than(ManageSession.expires_at, NO_AGE)
    ),
    "address changes": in_batches(
        delete(AddressChange), older_than(AddressChange.created_at, ADDRESS_CHANGE_AGE)
    ),
    "subscriptions": in_batches(delete(Subscription), ended_subscriptions),
    "waitlist entries": in_batches(delete(WaitlistEntry), ended_waitlist_entries),
}
_OWNER = (
    select(Subscription.public_id)
    .where(Subscription.id == PendingConfirmation.subscription_id)
    .scalar_subquery()
)
_OWNER_GROUP = (
    select(Group.public_id)
    .join(Subscription, Subscription.group_id == Group.id)
    .where(Subscription.id == PendingConfirmation.subscription_id)
    .scalar_subquery()
)
_AWAITED = select(Group.public_id).where(Group.id == WaitlistEntry.group_id).scalar_subquery()
_JOINED = select(Group.public_id).where(Group.id == Subscription.group_id).scalar_subquery()
WRAPPED = (
    WrappedColumn(Erasure.wrapped, ERASURE_COLUMN, Erasure.public_id),
    WrappedColumn(
        WaitlistEntry.wrapped_address,
        waitlist_tasks.ENTRY_ADDRESS_COLUMN,
        WaitlistEntry.public_id + "/" + _AWAITED,
    ),
    WrappedColumn(
        Subscription.wrapped_address, ADDRESS_COLUMN, Subscription.public_id + "/" + _JOINED
    ),
    WrappedColumn(Subscription.wrapped_name, NAME_COLUMN, Subscription.public_id),
    WrappedColumn(Subscription.wrapped_introduction, INTRODUCTION_COLUMN, Subscription.public_id),
    WrappedColumn(PendingConfirmation.wrapped_name, NAME_COLUMN, _OWNER),
    WrappedColumn(PendingConfirmation.wrapped_introduction, INTRODUCTION_COLUMN, _OWNER),
)
MEMBERS = Room(
    emails=EMAILS,
    tasks=TASKS,
    lookups=(
        "join",
        "interest",
        "my-groups",
        "email-again",
        "change-address",
        service.REMOVAL,
        staff_codes.CODE,
        staff_codes.JOIN,
    ),
    retention=RETENTION,
    wrapped=WRAPPED,
    short_lived={
        "address_changes.wrapped": "new addresses waiting for confirmation; deleted after"
        f" {ADDRESS_CHANGE_AGE.days} days",
        BATCH_COLUMN: "addresses of an imported list that wait to be asked; deleted after"
        f" {IMPORT_AGE.days} days",
    },
)
