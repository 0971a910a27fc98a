"""What the worker does with a request: open it, apply the limits, ask for the mail."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail import limits
from belong_mail.db import new_public_id, now
from belong_mail.groups.models import Group
from belong_mail.mail import address as addresses
from belong_mail.opening import BlindIndex, Opener
from belong_mail.outbox import service as outbox
from belong_mail.outbox import suppressions
from belong_mail.subscriptions.models import Request, Subscription, Wish
from belong_mail.subscriptions.service import SEALED, Wanted

CONFIRM = "confirm-subscription"
ASKING = (CONFIRM, "group-starts")
"""The mails that ask for a confirmation."""
MEMBER_RATE = limits.Rate(2, timedelta(days=2))
"""Confirmations for one address and group: two at once, then one a day."""
APART = timedelta(minutes=15)
"""Between two of them."""
PERSON_RATE = limits.Rate(10, timedelta(hours=80))
"""Confirmations for one address over all groups: one for each group, then three a day."""
ALREADY_RATE = limits.Rate(1, timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Keyring:
    """What only the worker holds."""

    opener: Opener
    index: BlindIndex

    def address(self, subscription: Subscription) -> str:
        return self.opener.unwrap(
            subscription.wrapped_address, "subscriptions.wrapped_address", subscription.public_id
        ).decode()

    def name(self, subscription: Subscription) -> str:
        """Return the first name, or nothing."""
        if subscription.wrapped_name is None:
            return ""
        return self.opener.unwrap(
            subscription.wrapped_name, "subscriptions.wrapped_name", subscription.public_id
        ).decode()

    def wrap(self, text: str, column: str, public_id: str) -> bytes:
        return self.opener.wrap(text.encode(), f"subscriptions.{column}", public_id)


def join(session: Session, keyring: Keyring, request: Request) -> None:
    """Ask for the mail that confirms a wish.

    Raises nothing for a known, barred or too often mailed address: silence or delay is the answer.
    """
    group = session.get_one(Group, request.group_id)
    wanted = Wanted.from_bytes(keyring.opener.open(request.sealed or b"", SEALED))
    identity = addresses.normalise(wanted.address)
    if not group.is_open or suppressions.covers(session, keyring.index, identity):
        return
    member = ask(session, keyring, group, wanted, CONFIRM)
    if member is not None:
        _say_already(session, member)


def ask(
    session: Session, keyring: Keyring, group: Group, wanted: Wanted, kind: str
) -> Subscription | None:
    """Ask for a mail, of one of the kinds that do, to confirm a wish; return who is in already."""
    identity = addresses.normalise(wanted.address)
    subscription = find(session, keyring.index, group, identity)
    if subscription is None:
        subscription = start(session, keyring, group, wanted)
    if subscription.is_active:
        return subscription
    _ask_to_confirm(session, keyring, subscription, wanted, kind)
    return None


def find(session: Session, index: BlindIndex, group: Group, identity: str) -> Subscription | None:
    """Find a normalised address's subscription to a group."""
    found = select(Subscription).where(
        Subscription.group_id == group.id,
        Subscription.address_index == index.member(group.public_id, identity),
    )
    return session.scalar(found)


def start(session: Session, keyring: Keyring, group: Group, wanted: Wanted) -> Subscription:
    """Write down a subscription that waits for its confirmation."""
    public_id = new_public_id()
    identity = addresses.normalise(wanted.address)
    subscription = Subscription(
        public_id=public_id,
        group_id=group.id,
        address_index=keyring.index.member(group.public_id, identity),
        wrapped_address=keyring.wrap(wanted.address, "wrapped_address", public_id),
        language=wanted.language,
        is_suppressed=False,
        asked_until=0.0,
    )
    session.add(subscription)
    session.flush()
    return subscription


def never_mail(session: Session, keyring: Keyring, request: Request) -> str | None:
    """Leave an address alone in every group; return its normal form, if it is still known."""
    subscription = session.get(Subscription, request.subscription_id)
    if subscription is None:
        return None
    identity = addresses.normalise(keyring.address(subscription))
    suppressions.add(session, keyring.index, identity, "asked")
    for group in session.scalars(select(Group)):
        other = find(session, keyring.index, group, identity)
        if other is not None:
            other.is_suppressed = True
    return identity


def _say_already(session: Session, subscription: Subscription) -> None:
    """Tell a member, once a day at most, that they are in: the page could not."""
    at = now()
    allowed, used = limits.next_use(subscription.asked_until, ALREADY_RATE, at.timestamp())
    if allowed <= at.timestamp():
        subscription.asked_until = used
        outbox.post(session, "already-member", subscription_id=subscription.id)


def _ask_to_confirm(
    session: Session, keyring: Keyring, subscription: Subscription, wanted: Wanted, kind: str
) -> None:
    """Post a confirmation for this wish, or give the wish to one that has not left yet."""
    if any(outbox.is_waiting(session, each, subscription.id) for each in ASKING):
        waiting = select(Wish).where(Wish.subscription_id == subscription.id)
        wish = session.scalars(waiting.order_by(Wish.id.desc())).first()
    else:
        wish = None
    is_new = wish is None
    wish = wish or Wish(subscription_id=subscription.id)
    wish.language = wanted.language
    public_id = subscription.public_id
    wish.wrapped_name = (
        keyring.wrap(wanted.first_name, "wrapped_name", public_id) if wanted.first_name else None
    )
    wish.wrapped_introduction = (
        keyring.wrap(introduction(wanted), "wrapped_introduction", public_id)
        if wanted.is_introduced
        else None
    )
    if is_new:
        session.add(wish)
        session.flush()
        due_at = _when_to_ask(session, keyring, subscription)
        outbox.post(session, kind, subscription_id=subscription.id, about_id=wish.id, due_at=due_at)


def introduction(wanted: Wanted) -> str:
    return json.dumps({"first_name": wanted.first_name, "answers": wanted.answers})


def _when_to_ask(session: Session, keyring: Keyring, subscription: Subscription) -> datetime:
    """Count one confirmation and return when it may go out."""
    at = now()
    allowed, subscription.asked_until = limits.next_use(
        subscription.asked_until, MEMBER_RATE, at.timestamp()
    )
    person = keyring.index.limited(addresses.normalise(keyring.address(subscription)))
    due_at = max(
        at + timedelta(seconds=allowed - at.timestamp()),
        limits.admit(session, person, PERSON_RATE, at),
        subscription.asked_at + APART if subscription.asked_at else at,
    )
    subscription.asked_at = due_at
    return due_at
