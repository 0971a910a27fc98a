"""Join, confirm, leave, pause: the verbs of members, for the blind web."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from belong_mail.core import audit, rate_limits
from belong_mail.core.audit import Kind
from belong_mail.core.db import PUBLIC_ID_LENGTH, now, required
from belong_mail.core.encryption import Sealer
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import REMOVAL_RATE, Limit
from belong_mail.core.retention import WAITLIST_AGE
from belong_mail.core.tokens import BadToken, NothingLeft, name_of
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.models import Group
from belong_mail.groups.service import GroupHasEnded, require_not_ending
from belong_mail.members.jobs import FinishConfirmation, NeverMail, RemoveAddress, Signup
from belong_mail.members.models import PendingConfirmation, Subscription, WaitlistEntry

UNDO_WINDOW = timedelta(hours=1)


class NotAMember(BadToken):
    """The owner of the link has left, or has not joined yet."""


def ask_to_join(
    session: Session, sealer: Sealer, group: Group, signup: Signup, due_at: datetime
) -> None:
    """Write the sign-up down, sealed; the worker answers it, not before a time."""
    typed = replace(signup, group=group.public_id)
    typed.ask(session, sealer, group_id=group.id, due_at=due_at)


def find_pending(session: Session, confirm_id: str) -> PendingConfirmation:
    """Find what a confirmation link asks about, or raise BadToken when that is over.

    Raises GroupHasEnded when the group has ended meanwhile, or takes nobody in any more.
    """
    found = select(PendingConfirmation).where(PendingConfirmation.confirm_id == confirm_id)
    pending = session.scalar(found.execution_options(populate_existing=True))
    if pending is None or pending.subscription.is_suppressed:
        raise BadToken
    require_not_ending(pending.subscription.group)
    return pending


def split_confirmation_name(name: str) -> tuple[str, str]:
    """Return the ids of a confirmation, by the secret of its link, and of its subscription."""
    if len(name) != 2 * PUBLIC_ID_LENGTH:
        return name_of(name), ""
    return name_of(name[:PUBLIC_ID_LENGTH]), name[PUBLIC_ID_LENGTH:]


def outcome_of_request(session: Session, public_id: str) -> Subscription:
    """Find what a confirmation link that asks nothing any more has led to.

    Raises BadToken when nothing has come of it, and GroupHasEnded.
    """
    if not public_id:
        raise BadToken
    subscription = get(session, public_id)
    if subscription.group.retired_at is not None:
        raise GroupHasEnded
    if subscription.confirmed_at or subscription.ended_at or subscription.is_suppressed:
        return subscription
    raise BadToken


def waiting_request(session: Session, subscription: Subscription) -> PendingConfirmation | None:
    """Find a request to join that waits for its confirmation, first one of an imported list."""
    if subscription.is_active or subscription.is_suppressed:
        return None
    found = select(PendingConfirmation).where(
        PendingConfirmation.subscription_id == subscription.id
    )
    return session.scalar(found.order_by(PendingConfirmation.is_invited.desc()).limit(1))


def get(session: Session, public_id: str) -> Subscription:
    """Find a subscription for a page that asks, or raise NothingLeft."""
    return required(
        session.scalar(select(Subscription).where(Subscription.public_id == public_id)), NothingLeft
    )


def get_for_update(session: Session, public_id: str) -> Subscription:
    """Find a subscription, locked until the transaction ends, or raise NothingLeft."""
    found = select(Subscription).where(Subscription.public_id == public_id)
    return required(session.scalar(found.with_for_update()), NothingLeft)


def confirm(session: Session, sealer: Sealer, confirm_id: str) -> Subscription:
    """Grant a sign-up: the person is in. The second time nothing more happens.

    It is read again under the lock: a person who leaves in the same moment has left. The worker
    welcomes, and moves what is wrapped, name and introduction: the web writes neither.
    """
    subscription = get_for_update(session, find_pending(session, confirm_id).subscription.public_id)
    pending = find_pending(session, confirm_id)
    granted = FinishConfirmation(confirm_id, not subscription.is_active)
    if not subscription.is_active:
        subscription.confirmed_at = now()
        subscription.ended_at = None
        subscription.language = pending.language
        subscription.paused_until = None
        subscription.is_reminded = False
    granted.ask(session, sealer, subscription_id=subscription.id)
    return subscription


def reject(session: Session, public_id: str, *, is_for_ever: bool) -> Subscription:
    """Withdraw what was asked in somebody's name; if wanted, never email them again."""
    subscription = leave(session, public_id)
    if is_for_ever and not _is_never_mail_waiting(session, subscription):
        NeverMail().write(session, subscription_id=subscription.id)
    return subscription


def wants_no_email(session: Session, subscription: Subscription) -> bool:
    """Tell whether its owner has asked never to be emailed, or the worker has yet to read that."""
    return subscription.is_suppressed or _is_never_mail_waiting(session, subscription)


def _is_never_mail_waiting(session: Session, subscription: Subscription) -> bool:
    """Tell whether this has been asked already: the lock of `leave` lets one ask at a time."""
    waiting = select(Job.id).where(
        Job.kind == NeverMail.kind, Job.subscription_id == subscription.id
    )
    return session.scalar(waiting.limit(1)) is not None


def leave(session: Session, public_id: str) -> Subscription:
    """End a subscription at once; links mailed before do not begin it again."""
    subscription = get_for_update(session, public_id)
    session.execute(
        delete(PendingConfirmation).where(PendingConfirmation.subscription_id == subscription.id)
    )
    if subscription.ended_at is None:
        subscription.ended_at = now()
    subscription.is_unreachable = False
    return subscription


def leave_if_there(session: Session, public_id: str) -> None:
    """Leave, unless nothing is kept of the membership any more."""
    with suppress(BadToken):
        leave(session, public_id)


def pause(session: Session, public_id: str, until: datetime) -> None:
    """Send a member no issues before a time, or raise NotAMember when they have left."""
    active_member(session, public_id).paused_until = until


def resume(session: Session, public_id: str) -> None:
    """End a pause, or raise NotAMember when the member has left.

    The next issue comes again. One that was queued during the pause does not: it was planned
    without this member, and its books must stay right.
    """
    subscription = active_member(session, public_id)
    if subscription.pause is not None:
        subscription.paused_until = now()


def active_member(session: Session, public_id: str) -> Subscription:
    """Find a member, locked, to change what they get, or raise NotAMember when they have left."""
    subscription = get_for_update(session, public_id)
    if not subscription.is_active:
        raise NotAMember
    return subscription


def can_undo_leave(subscription: Subscription) -> bool:
    """Tell whether leaving can still be undone: a member who left within the hour."""
    return (
        subscription.confirmed_at is not None
        and subscription.ended_at is not None
        and not subscription.is_suppressed
        and now() - subscription.ended_at < UNDO_WINDOW
    )


def undo_leave(session: Session, public_id: str) -> Subscription:
    """Undo leaving, or raise BadToken when it is too late.

    As after a pause, an issue that was queued meanwhile does not come: it was planned without
    this member, and its books must stay right.
    """
    subscription = get_for_update(session, public_id)
    if can_undo_leave(subscription):
        subscription.ended_at = None
        subscription.paused_until = max(now(), subscription.paused_until or now())
    if not subscription.is_active:
        raise BadToken
    return subscription


REMOVE, BAR, LET_IN = "remove", "bar", "let-in"
RECORDED = {REMOVE: Kind.ADDRESS_REMOVED, BAR: Kind.ADDRESS_BARRED, LET_IN: Kind.ADDRESS_LET_IN}
REMOVALS = b"office/removals"


class TooManyRemovals(Exception):
    """The office has typed as many addresses as anybody means in a day."""


def ask_to_remove(session: Session, sealer: Sealer, group: Group, address: str, what: str) -> None:
    """Write down, sealed, what the office wants done with an address; raise TooManyRemovals.

    The answer is alike whether it is known or not: the worker alone can tell. The trail keeps for
    which group, and not which address.
    """
    if rate_limits.try_use(session, REMOVALS, REMOVAL_RATE, now(), table=Limit) is None:
        raise TooManyRemovals
    audit.record(session, RECORDED[what], group=group)
    RemoveAddress(group.public_id, address, what).ask(session, sealer)


ENOUGH_INTEREST = 10


class InterestLevel(Enum):
    """How many wait for a group, in words that show nobody's coming or going."""

    FEW = gettext_noop("Fewer than 10 people have asked about it so far.")
    ENOUGH = gettext_noop("Enough people are interested to start.")


def interest_level(session: Session, group: Group) -> InterestLevel:
    counted = select(func.count(WaitlistEntry.id)).where(WaitlistEntry.group_id == group.id)
    number = session.scalar(counted) or 0
    return InterestLevel.ENOUGH if number >= ENOUGH_INTEREST else InterestLevel.FEW


def last_day() -> date:
    """Return until when a note of today is kept."""
    return (now() + WAITLIST_AGE).date()


def noon_utc(day: date) -> datetime:
    """Return a moment of a day, to be said in words."""
    return datetime.combine(day, time(12), UTC)


def get_entry(session: Session, public_id: str) -> WaitlistEntry:
    """Find a note for a page that asks, or raise NothingLeft."""
    return required(
        session.scalar(select(WaitlistEntry).where(WaitlistEntry.public_id == public_id)),
        NothingLeft,
    )


def ask_to_forget(session: Session, public_id: str) -> None:
    """Delete a note; one that is gone already stays gone."""
    session.execute(delete(WaitlistEntry).where(WaitlistEntry.public_id == public_id))
