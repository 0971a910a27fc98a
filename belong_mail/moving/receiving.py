"""What the worker does with a new address: asks there, then moves the groups and tells the old."""

import json

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail import limits
from belong_mail.db import new_public_id, now
from belong_mail.interests import receiving as interests
from belong_mail.mail import address as addresses
from belong_mail.memberships.models import AddressChange
from belong_mail.memberships.receiving import CHANGE, TO, forget, post, read_slip
from belong_mail.outbox import service as outbox
from belong_mail.outbox import suppressions
from belong_mail.subscriptions.models import Request, Subscription
from belong_mail.subscriptions.receiving import PERSON_RATE, Keyring, find
from belong_mail.subscriptions.service import SEALED


def change_address(session: Session, keyring: Keyring, request: Request) -> None:
    """Ask at the new address, within the limits of confirmations; to a barred one say nothing."""
    wanted, held = read_slip(session, keyring, request)
    identity = addresses.normalise(wanted["new"])
    if not held or suppressions.covers(session, keyring.index, identity):
        return
    public_id = new_public_id()
    ids = [each.public_id for each in held]
    content = {"new": wanted["new"], "language": wanted["language"], "public_ids": ids}
    wrapped = keyring.opener.wrap(json.dumps(content).encode(), CHANGE, public_id)
    change = AddressChange(public_id=public_id, wrapped=wrapped)
    session.add(change)
    session.flush()
    outbox.post(
        session,
        "change-address",
        sealed_to=keyring.opener.wrap(wanted["new"].encode(), TO, ""),
        about_id=change.id,
        due_at=limits.admit(session, keyring.index.limited(identity), PERSON_RATE, now()),
    )


def move_address(session: Session, keyring: Keyring, request: Request) -> None:
    """Move the groups of a confirmed change, and tell the old address that it happened."""
    opened = json.loads(keyring.opener.open(request.sealed or b"", SEALED))
    found = select(AddressChange).where(AddressChange.public_id == opened["change"])
    change = session.scalar(found.where(AddressChange.confirmed_at.is_not(None)))
    if change is None or not change.wrapped:
        return
    wanted = json.loads(keyring.opener.unwrap(change.wrapped, CHANGE, change.public_id))
    change.wrapped = b""
    if suppressions.covers(session, keyring.index, addresses.normalise(wanted["new"])):
        return
    rows = select(Subscription).where(Subscription.public_id.in_(wanted["public_ids"]))
    held = [each for each in session.scalars(rows.with_for_update()) if each.is_active]
    if held:
        old = keyring.address(held[0])
        post(session, keyring, "address-changed", old, wanted["language"])
        interests.move(session, keyring, addresses.normalise(old), wanted["new"])
    for subscription in held:
        _move(session, keyring, subscription, wanted["new"])


def _move(session: Session, keyring: Keyring, subscription: Subscription, new: str) -> None:
    """Give a subscription a new address; where that has an active one, the older row goes."""
    identity = addresses.normalise(new)
    other = find(session, keyring.index, subscription.group, identity)
    if other is not None and other is not subscription:
        if other.is_active:
            forget(session, [subscription])
            return
        forget(session, [other])
    public_id = subscription.public_id
    subscription.wrapped_address = keyring.wrap(new, "wrapped_address", public_id)
    subscription.address_index = keyring.index.member(subscription.group.public_id, identity)
    session.flush()
