"""Delete old data about members."""

from sqlalchemy import ColumnElement, delete, exists, or_, select, update

from belong_mail.core.db import ago, days_ago, is_older
from belong_mail.core.jobs import Job
from belong_mail.core.retention import (
    ADDRESS_CHANGE_AGE,
    ENDED_AGE,
    IMPORT_AGE,
    INVITED_AGE,
    NO_AGE,
    PENDING_CONFIRMATION_AGE,
    UNSTARTED_IMPORT_AGE,
    in_batches,
)
from belong_mail.delivery.models import UNFINISHED, Delivery
from belong_mail.delivery.work import RETENTION
from belong_mail.groups.models import Group
from belong_mail.members import tasks
from belong_mail.members.imports import Import
from belong_mail.members.models import (
    INTRODUCE,
    AddressChange,
    ManageSession,
    PendingConfirmation,
    Subscription,
    WaitlistEntry,
)


def _waits(column: str, kind: str | None = None) -> ColumnElement[bool]:
    """Match subscriptions with an unfinished delivery to them or about them."""
    waits = exists().where(
        getattr(Delivery, column) == Subscription.id,
        or_(Delivery.state.in_(UNFINISHED), Delivery.due_at.is_not(None)),
    )
    return waits.where(Delivery.kind == kind) if kind else waits


# Introductions that the leaders have received, and those of people who left.
RETENTION["introductions"] = in_batches(
    update(Subscription).values(wrapped_introduction=None),
    Subscription.wrapped_introduction.is_not(None),
    or_(Subscription.ended_at.is_not(None), ~_waits("about_id", INTRODUCE)),
)
# Recipients and times of staff codes: a minute after the email was sent.
RETENTION["codes that prove staff"] = in_batches(
    delete(Delivery),
    Delivery.sealed_arguments.is_not(None),
    Delivery.kind == tasks.STAFF_CODE,
    Delivery.finished_at.is_not(None),
    Delivery.due_at.is_(None),
)
RETENTION["pending confirmations"] = in_batches(
    delete(PendingConfirmation), is_older(PendingConfirmation.created_at, PENDING_CONFIRMATION_AGE)
)
# The subscriptions of these confirmations are deleted with them.
RETENTION["invitations from a list"] = in_batches(
    delete(PendingConfirmation),
    PendingConfirmation.is_invited.is_(True),
    PendingConfirmation.created_at < ago(INVITED_AGE),
)
# The batches of an import are deleted with it.
RETENTION["imports"] = in_batches(
    delete(Import),
    or_(
        Import.started_at.is_(None) & is_older(Import.created_at, UNSTARTED_IMPORT_AGE),
        is_older(Import.started_at, IMPORT_AGE),
    ),
)
RETENTION["manage sessions"] = in_batches(
    delete(ManageSession), is_older(ManageSession.expires_at, NO_AGE)
)
RETENTION["address changes"] = in_batches(
    delete(AddressChange), is_older(AddressChange.created_at, ADDRESS_CHANGE_AGE)
)
# Subscriptions that ended long ago, are suppressed, or were never confirmed. All but the suppressed
# are kept while a confirmation is pending.
_IS_PENDING = exists().where(PendingConfirmation.subscription_id == Subscription.id)
RETENTION["subscriptions"] = in_batches(
    delete(Subscription),
    Subscription.is_inactive(),
    or_(
        is_older(Subscription.ended_at, ENDED_AGE) & ~_IS_PENDING,
        Subscription.is_suppressed,
        Subscription.confirmed_at.is_(None) & ~_IS_PENDING,
    ),
    ~exists().where(Job.subscription_id == Subscription.id),
    ~_waits("subscription_id"),
)
RETENTION["waitlist entries"] = in_batches(
    delete(WaitlistEntry),
    or_(
        WaitlistEntry.kept_until < days_ago(NO_AGE),
        WaitlistEntry.group_id.in_(select(Group.id).where(Group.retired_at.is_not(None))),
    ),
)
