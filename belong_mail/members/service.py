"""The web's actions on memberships: join, confirm, leave, pause."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from belong_mail.core import audit, rate_limits
from belong_mail.core.audit import Kind
from belong_mail.core.db import PUBLIC_ID_LENGTH, now, required
from belong_mail.core.encryption import Sealer
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import REMOVAL_RATE, Limit
from belong_mail.core.retention import WAITLIST_AGE
from belong_mail.core.tokens import BadToken, NothingLeft, link_hash
from belong_mail.groups.models import Group
from belong_mail.groups.service import GroupHasEnded, require_not_ending
from belong_mail.members.counts import in_tens
from belong_mail.members.jobs import FinishConfirmation, NeverMail, RemoveAddress, Signup
from belong_mail.members.models import PendingConfirmation, Subscription, WaitlistEntry

UNDO_WINDOW = timedelta(hours=1)


def ask_to_join(
    session: Session, sealer: Sealer, group: Group, signup: Signup, due_at: datetime
) -> None:
    """Queue the sign-up, sealed, for the worker."""
    typed = replace(signup, group=group.public_id)
    typed.ask(session, sealer, group_id=group.id, due_at=due_at)


def find_pending(session: Session, secret: str) -> PendingConfirmation:
    """Find the sign-up of a confirmation link. Raises BadToken, or GroupHasEnded."""
    found = select(PendingConfirmation).where(PendingConfirmation.confirm_id == link_hash(secret))
    pending = session.scalar(found.execution_options(populate_existing=True))
    if pending is None or pending.subscription.is_suppressed:
        raise BadToken
    require_not_ending(pending.subscription.group)
    return pending


def split_confirmation_name(name: str) -> tuple[str, str]:
    """Return the secret of a confirmation's link, and the token to refuse it."""
    if len(name) != 3 * PUBLIC_ID_LENGTH:
        return name, ""
    return name[:PUBLIC_ID_LENGTH], name[PUBLIC_ID_LENGTH:]


def split_refusal_name(name: str) -> tuple[str, str]:
    """Return a membership's public id, and the secret that lets its owner refuse all email."""
    return name[:PUBLIC_ID_LENGTH], name[PUBLIC_ID_LENGTH:]


def outcome_of_request(session: Session, public_id: str) -> Subscription:
    """Return the membership of an old confirmation link, for its result.

    Raises BadToken if it still waits for another confirmation, and GroupHasEnded.
    """
    if not public_id:
        raise BadToken
    subscription = get(session, public_id)
    if subscription.group.retired_at is not None:
        raise GroupHasEnded
    if subscription.confirmed_at is None and waiting_request(session, subscription):
        raise BadToken
    return subscription


def waiting_request(session: Session, subscription: Subscription) -> PendingConfirmation | None:
    """Find a pending confirmation, preferably of an imported list."""
    if subscription.is_active or subscription.is_suppressed:
        return None
    found = select(PendingConfirmation).where(
        PendingConfirmation.subscription_id == subscription.id
    )
    return session.scalar(found.order_by(PendingConfirmation.is_invited.desc()).limit(1))


def get(session: Session, public_id: str, *, is_locked: bool = False) -> Subscription:
    """Find a membership, if wanted locked for update. Raises NothingLeft."""
    found = select(Subscription).where(Subscription.public_id == public_id)
    if is_locked:  # and read anew, as another press may have changed it meanwhile
        found = found.with_for_update().execution_options(populate_existing=True)
    return required(session.scalar(found), NothingLeft)


def confirm(session: Session, sealer: Sealer, secret: str) -> Subscription:
    """Confirm a sign-up, so that the person is a member. Confirming twice changes nothing more.

    Reads it again under the lock, in case the person leaves at that moment. The worker moves the
    wrapped name and introduction, which the web cannot write, and sends the welcome email.
    """
    asked = find_pending(session, secret).subscription
    subscription = get(session, asked.public_id, is_locked=True)
    pending = find_pending(session, secret)
    is_new = not subscription.is_active
    if is_new:
        subscription.confirmed_at = now()
        subscription.ended_at = None
        subscription.language = pending.language
        subscription.paused_until = None
        subscription.is_reminded = False
    if is_new or pending.wrapped_introduction:
        FinishConfirmation(secret).ask(session, sealer, subscription_id=subscription.id)
    return subscription


def reject(session: Session, sealer: Sealer, public_id: str, secret: str) -> None:
    """Withdraw a sign-up by someone else; with the secret, also suppress the address."""
    subscription = leave(session, public_id)
    if secret and not _is_never_mail_waiting(session, subscription):
        NeverMail(secret).ask(session, sealer, subscription_id=subscription.id)


def wants_no_email(session: Session, subscription: Subscription) -> bool:
    """Return whether the owner wants no email, also while the job that records this waits."""
    return subscription.is_suppressed or _is_never_mail_waiting(session, subscription)


def _is_never_mail_waiting(session: Session, subscription: Subscription) -> bool:
    """Return whether a NeverMail job waits; the lock of `leave` prevents a second one."""
    waiting = select(Job.id).where(
        Job.kind == NeverMail.kind, Job.subscription_id == subscription.id
    )
    return session.scalar(waiting.limit(1)) is not None


def leave(session: Session, public_id: str) -> Subscription:
    """End a membership at once; links emailed before cannot restart it."""
    subscription = get(session, public_id, is_locked=True)
    session.execute(
        delete(PendingConfirmation).where(PendingConfirmation.subscription_id == subscription.id)
    )
    is_to_end = subscription.ended_at is None or subscription.is_unreachable
    if subscription.confirmed_at is not None and is_to_end:
        subscription.ended_at, subscription.is_unreachable = now(), False
    return subscription


def leave_if_there(session: Session, public_id: str) -> None:
    """End a membership, unless it was deleted."""
    with suppress(BadToken):
        leave(session, public_id)


def resume(subscription: Subscription) -> None:
    """End a pause.

    Issues queued during the pause do not come: their chunks and counts were planned without the
    member.
    """
    if subscription.pause is not None:
        subscription.paused_until = now()


def can_undo_leave(subscription: Subscription) -> bool:
    """Return whether a member left within UNDO_WINDOW."""
    return (
        subscription.confirmed_at is not None
        and subscription.ended_at is not None
        and not subscription.is_suppressed
        and now() - subscription.ended_at < UNDO_WINDOW
    )


def undo_leave(subscription: Subscription) -> None:
    """Restore a membership that was just left; after UNDO_WINDOW it stays ended.

    Issues queued meanwhile do not come, as after a pause.
    """
    if can_undo_leave(subscription):
        subscription.ended_at = None
        subscription.paused_until = max(now(), subscription.paused_until or now())


REMOVE, BAR, LET_IN = "remove", "bar", "let-in"
RECORDED = {REMOVE: Kind.ADDRESS_REMOVED, BAR: Kind.ADDRESS_BARRED, LET_IN: Kind.ADDRESS_LET_IN}
REMOVALS = b"office/removals"


class TooManyRemovals(Exception):
    """The office has entered more addresses than REMOVAL_RATE allows."""


def ask_to_remove(session: Session, sealer: Sealer, group: Group, address: str, what: str) -> None:
    """Queue a job, sealed, about an address the office entered. Raises TooManyRemovals.

    The web cannot tell whether the address is known, and answers alike. The audit entry has the
    group, but not the address.
    """
    if rate_limits.try_use(session, REMOVALS, REMOVAL_RATE, now(), table=Limit) is None:
        raise TooManyRemovals
    audit.record(session, RECORDED[what], group=group)
    RemoveAddress(group.public_id, address, what).ask(session, sealer)


def people_waiting(session: Session, group: Group) -> int:
    """Count people who wait for a group to start, rounded down to tens."""
    counted = select(func.count(WaitlistEntry.id)).where(WaitlistEntry.group_id == group.id)
    return in_tens(session.scalar(counted) or 0)


def last_day() -> date:
    """Return the last day for which a request to be notified, made today, is kept."""
    return (now() + WAITLIST_AGE).date()


def noon_utc(day: date) -> datetime:
    """Return a day's noon in UTC, which has the same date in our time zone."""
    return datetime.combine(day, time(12), UTC)


def get_entry(session: Session, public_id: str) -> WaitlistEntry:
    """Find a request to be notified, for a page that only reads. Raises NothingLeft."""
    return required(
        session.scalar(select(WaitlistEntry).where(WaitlistEntry.public_id == public_id)),
        NothingLeft,
    )


def ask_to_forget(session: Session, public_id: str) -> None:
    """Delete a request to be notified, if it still exists."""
    session.execute(delete(WaitlistEntry).where(WaitlistEntry.public_id == public_id))
