"""Which rows of members, and of who waits for a group, are over."""

from datetime import datetime

from sqlalchemy import ColumnElement, exists, or_, select

from belong_mail.core.jobs import Job
from belong_mail.core.retention import ENDED_AGE
from belong_mail.delivery.models import Delivery, State
from belong_mail.groups.models import Group
from belong_mail.members.models import PendingConfirmation, Subscription, WaitlistEntry

UNFINISHED = (State.QUEUED, State.SENDING, State.DEFERRED)


def delivered_introductions(_at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Select those that the leads have been told, and of who has left."""
    is_kept = Subscription.wrapped_introduction.is_not(None)
    has_left = Subscription.ended_at.is_not(None)
    return is_kept, or_(has_left, ~_waits("about_id", "introduce-member"))


def ended_subscriptions(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Select those that ended a while ago, are left alone for ever, or were never confirmed.

    Of the last, those that nobody asks about any more.
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
