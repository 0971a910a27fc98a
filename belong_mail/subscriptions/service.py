"""The members' verbs, for the blind web: ask, confirm, refuse, leave, come back."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from belong_mail import limits
from belong_mail.accounts import service as accounts
from belong_mail.db import now
from belong_mail.groups.models import Group
from belong_mail.outbox import service as outbox
from belong_mail.sealing import Sealer
from belong_mail.subscriptions.models import Request, Subscription, Wish
from belong_mail.tokens import BadToken

GROUP_RATE = limits.Rate(1000, timedelta(hours=1))
UNDO = timedelta(hours=1)
SEALED = "requests.sealed"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person typed into the sign-up form."""

    address: str
    language: str
    first_name: str = ""
    is_introduced: bool = False
    answers: list[list[str]] = field(default_factory=list)
    """Question and answer, as the person read them."""

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Wanted":
        return cls(**json.loads(data))


def ask(
    session: Session,
    sealer: Sealer,
    group: Group,
    wanted: Wanted,
    due_at: datetime,
    kind: str = "join",
) -> None:
    """Write the wish down, sealed; the worker answers it, not before a time."""
    key = f"group/{group.id}".encode()
    due_at = max(due_at, limits.admit(session, key, GROUP_RATE, now()))
    sealed = sealer.seal(wanted.to_bytes(), SEALED)
    session.add(Request(kind=kind, group_id=group.id, sealed=sealed, due_at=due_at))


def find_wish(session: Session, confirm_id: str) -> Wish:
    """Find what a confirmation link asks about, or raise BadToken when that is over."""
    found = select(Wish).where(Wish.confirm_id == confirm_id)
    wish = session.scalar(found.execution_options(populate_existing=True))
    if wish is None or wish.subscription.is_suppressed:
        raise BadToken
    return wish


def look_at(session: Session, public_id: str) -> Subscription:
    """Find a subscription for a page that asks, or raise BadToken."""
    subscription = session.scalar(select(Subscription).where(Subscription.public_id == public_id))
    if subscription is None:
        raise BadToken
    return subscription


def find(session: Session, public_id: str) -> Subscription:
    """Find a subscription, locked until the transaction ends, or raise BadToken."""
    found = select(Subscription).where(Subscription.public_id == public_id)
    subscription = session.scalar(found.with_for_update())
    if subscription is None:
        raise BadToken
    return subscription


def confirm(session: Session, confirm_id: str) -> Subscription:
    """Grant a wish: the person is in. The second time nothing more happens.

    The wish is read again under the lock: who leaves in the same moment has left.
    """
    subscription = find(session, find_wish(session, confirm_id).subscription.public_id)
    wish = find_wish(session, confirm_id)
    if not subscription.is_active:
        subscription.confirmed_at = now()
        subscription.ended_at = None
        subscription.asked_at, subscription.asked_until = None, 0.0
        subscription.language = wish.language
        subscription.wrapped_name = wish.wrapped_name
        subscription.paused_until = None
        subscription.is_reminded = False
        outbox.post(session, "welcome-member", subscription_id=subscription.id)
    _introduce(session, subscription, wish)
    return subscription


def _introduce(session: Session, subscription: Subscription, wish: Wish) -> None:
    """Tell the leads what a granted wish wants them to know, once; the wish forgets it."""
    introduction, wish.wrapped_introduction = wish.wrapped_introduction, None
    leads = accounts.leads_of(session, subscription.group)
    if introduction is None or not leads:
        return
    subscription.wrapped_introduction = introduction
    for lead in leads:
        outbox.post(session, "introduce-member", account_id=lead.id, about_id=subscription.id)


def refuse(session: Session, public_id: str, *, is_for_ever: bool) -> None:
    """Take back what was asked in somebody's name; if wanted, never mail them again."""
    subscription = leave(session, public_id)
    if is_for_ever:
        session.add(Request(kind="never-mail", subscription_id=subscription.id))


def leave(session: Session, public_id: str) -> Subscription:
    """End a subscription at once; links mailed before do not begin it again."""
    subscription = find(session, public_id)
    session.execute(delete(Wish).where(Wish.subscription_id == subscription.id))
    if subscription.ended_at is None:
        subscription.ended_at = now()
        subscription.wrapped_introduction = None
        subscription.asked_at, subscription.asked_until = None, 0.0
    subscription.is_unreachable = False
    return subscription


def leave_if_there(session: Session, public_id: str) -> None:
    """Leave; whoever left so long ago that nothing is kept has left already."""
    with suppress(BadToken):
        leave(session, public_id)


def pause(session: Session, public_id: str, until: datetime) -> None:
    """Send a member no issues before a time, or raise BadToken when they have left."""
    _member(session, public_id).paused_until = until


def resume(session: Session, public_id: str) -> None:
    """End a pause, or raise BadToken when the member has left.

    The next issue comes again. One that was queued during the pause does not: it was planned
    without this member, and its books must stay right.
    """
    subscription = _member(session, public_id)
    if subscription.pause is not None:
        subscription.paused_until = now()


def speak(session: Session, public_id: str, language: str) -> None:
    """Write to a member in another language, or raise BadToken when they have left."""
    _member(session, public_id).language = language


def remind(session: Session, public_id: str, *, is_wanted: bool) -> None:
    """Mail a member the day before a meeting, or do so no more; BadToken when they have left."""
    _member(session, public_id).is_reminded = is_wanted


def _member(session: Session, public_id: str) -> Subscription:
    subscription = find(session, public_id)
    if not subscription.is_active:
        raise BadToken
    return subscription


def can_come_back(subscription: Subscription) -> bool:
    """Tell whether leaving can still be undone: a member who left within the hour."""
    return (
        subscription.confirmed_at is not None
        and subscription.ended_at is not None
        and not subscription.is_suppressed
        and now() - subscription.ended_at < UNDO
    )


def come_back(session: Session, public_id: str) -> Subscription:
    """Undo leaving, or raise BadToken when it is too late."""
    subscription = find(session, public_id)
    if can_come_back(subscription):
        subscription.ended_at = None
        subscription.confirmed_at = now()
    if not subscription.is_active:
        raise BadToken
    return subscription
