"""The worker's functions for self-service: find, copy, move and erase a person's data."""

import json
import secrets
from contextlib import suppress

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from belong_mail.contact.models import ContactMessage
from belong_mail.contact.service import KIND as MESSAGE
from belong_mail.contact.service import MESSAGE_COLUMN as CONTACT
from belong_mail.core.db import new_public_id
from belong_mail.core.decryption import DecryptionError, Keyring, Opener
from belong_mail.core.rate_limits import (
    CHANGE_ADDRESS_RATE,
    COPY_RATE,
    EMAIL_AGAIN_RATE,
    MAX_WAIT,
    MY_GROUPS_RATE,
)
from belong_mail.core.tokens import link_hash, secret_hash
from belong_mail.delivery import suppressions
from belong_mail.delivery.mailer import Rows
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import Refused, Work, does, each_minute
from belong_mail.mail import address as addresses
from belong_mail.members import erasure, proven
from belong_mail.members.erasure import forget_subscriptions
from belong_mail.members.jobs import (
    ChangeAddress,
    Erase,
    Lift,
    MoveAddress,
    SendCopy,
    SendMyGroups,
)
from belong_mail.members.models import (
    AddressChange,
    Erasure,
    ManageSession,
    Subscription,
    WaitlistEntry,
)
from belong_mail.members.self_service import LINK_MAX_AGE, lock_list
from belong_mail.members.tasks import is_barred
from belong_mail.members.wrapped_fields import (
    NOTE_COLUMN,
    address_of,
    rows_of,
    wrap_address,
)

MY_GROUPS, NO_GROUPS, EMAIL_AGAIN = "my-groups", "no-groups", "email-again"
COPY, ERASED, NEW_ADDRESS, MOVED = "my-copy", "erased", "change-address", "address-changed"
# Messages decrypted to find a person's; and bytes of a sealed message, more than a form allows.
MAX_MESSAGES, MAX_MESSAGE_OCTETS = 1_000, 100_000


@does(SendMyGroups)
def my_groups(work: Work, asked: SendMyGroups) -> None:
    """Email the link to someone's memberships, encrypted under its secret, or that there are none.

    Limits both emails alike, so that their number does not show who is a member. A suppressed
    address gets the link that lifts its suppression.
    """
    session, keys, identity = work.session, work.keys, addresses.folded(asked.address)
    if suppressions.is_suppressed(session, keys.index, identity):
        _email_again(work, asked, identity)
        return
    found = [each for each in rows_of(session, keys, Subscription, identity) if each.is_active]
    held = [each for each in found if proven.is_kept(work, each)]
    if not held:
        work.require_staff(asked.address)
    work.use(keys.index.limited("my-groups", identity), MY_GROUPS_RATE)
    waiting = rows_of(session, keys, WaitlistEntry, identity)
    notes = [
        (each.group.name_in_emails, each.public_id)
        for each in waiting
        if proven.is_kept(work, each)
    ]
    if held:
        secret, to = secrets.token_urlsafe(32), addresses.untagged(address_of(keys, held[0]))
        is_personal = not work.settings.staff.is_ours(to)
        locked = lock_list(secret, held, proven.permit(work, held), is_personal=is_personal)
        expires_at = work.at + LINK_MAX_AGE
        session.add(
            ManageSession(secret_hash=secret_hash(secret), locked=locked, expires_at=expires_at)
        )
        work.post(MY_GROUPS, to, asked.language, notes=notes, secret=secret)
    else:
        work.post(NO_GROUPS, addresses.untagged(asked.address), asked.language, notes=notes)


def _email_again(work: Work, asked: SendMyGroups, identity: str) -> None:
    """Email the link that lifts a suppression, once a week at most, if its owner asked for it."""
    index = work.keys.index
    if suppressions.lift_permission(work.session, index, identity, work.at) is None:
        raise Refused
    work.use(index.limited("email-again", identity), EMAIL_AGAIN_RATE)
    work.post(EMAIL_AGAIN, addresses.untagged(asked.address), asked.language)


@does(Lift)
def lift(work: Work, asked: Lift) -> None:
    """Lift a suppression that its owner confirmed."""
    suppressions.lift(work.session, work.keys.index, asked.permission)


@does(SendCopy)
def my_copy(work: Work, asked: SendCopy) -> None:
    """Queue a copy of someone's data, which is collected when the email is rendered."""
    address = address_of(work.keys, proven.permitted(work, asked)[0])
    key = work.keys.index.limited("my-copy", addresses.folded(address))
    work.post(COPY, address, asked.language, work.use(key, COPY_RATE, MAX_WAIT))


@does(Erase)
def erase(work: Work, asked: Erase) -> None:
    """Start to erase a person's data, and email a receipt that names no group."""
    session, keys = work.session, work.keys
    address = address_of(keys, proven.permitted(work, asked)[0])
    identity = addresses.folded(address)
    held = rows_of(session, keys, Subscription, identity)
    public_ids = {each.public_id for each in held}
    for change in session.scalars(select(AddressChange).where(AddressChange.wrapped != b"")):
        with suppress(DecryptionError):
            if public_ids & set(proven.opened_change(keys, change)["public_ids"]):
                session.delete(change)
    waiting = rows_of(session, keys, WaitlistEntry, identity)
    written = messages_of(session, keys.opener, identity)
    mailed = [each for each in written if _is_mailed(session, each)]
    name = erasure.name_of
    names = {*map(name, held), *map(name, waiting), *map(name, mailed)}
    erasure.start_erasure(session, keys.opener, keys.index, identity, names)
    work.post(ERASED, address, asked.language)


@each_minute("What is to be erased stays", select(Erasure.address_index).exists())
def carry_on_erasing(work: Work) -> None:
    erasure.erase_due(work.session, work.keys.opener, work.at)


def messages_of(session: Session, opener: Opener, identity: str) -> list[ContactMessage]:
    """Find stored messages to us that were written from a mailbox.

    Messages that cannot be decrypted are skipped, so that they block no one's copy or erasure. Only
    the newest are opened, which takes a second, as the web could store any number.
    """
    found = list[ContactMessage]()
    sent = select(ContactMessage).where(func.length(ContactMessage.sealed) <= MAX_MESSAGE_OCTETS)
    newest = sent.order_by(ContactMessage.id.desc()).limit(MAX_MESSAGES)
    for each in session.scalars(newest):
        with suppress(DecryptionError, ValueError, LookupError, TypeError, AttributeError):
            given = json.loads(opener.open(each.sealed, CONTACT))["address"]
            if given and addresses.folded(given) == identity:
                found.insert(0, each)
    return found


def _is_mailed(session: Session, message: ContactMessage) -> bool:
    """Return whether all emails of a message were accepted; False if there is none yet."""
    mails = select(Delivery.state).where(Delivery.kind == MESSAGE, Delivery.about_id == message.id)
    return set(session.scalars(mails)) == {State.ACCEPTED}


@does(ChangeAddress)
def change_address(work: Work, asked: ChangeAddress) -> None:
    """Email a new address to confirm, within its own rate limit; nothing if it is suppressed.

    A change to or from a personal address is refused: one row would link it to the staff address.
    """
    session, keys, held = work.session, work.keys, proven.permitted(work, asked)
    new = addresses.untagged(asked.new)
    identity = addresses.normalise(new)
    if suppressions.is_suppressed(session, keys.index, identity):
        raise Refused
    if not work.settings.staff.is_ours(address_of(keys, held[0])):
        raise Refused
    work.require_staff(asked.new)
    key = keys.index.limited("change-address", identity)
    due_at = work.use(key, CHANGE_ADDRESS_RATE, MAX_WAIT)
    secret = new_public_id()
    public_id = link_hash(secret)
    content = {
        "new": new,
        "language": asked.language,
        "public_ids": [each.public_id for each in held],
        "person": proven.person_hash(keys, held[0]),
    }
    wrapped = keys.opener.wrap(json.dumps(content).encode(), proven.ADDRESS_CHANGE, public_id)
    change = AddressChange(public_id=public_id, wrapped=wrapped)
    session.add(change)
    session.flush()
    rows = Rows(about_id=change.id)
    work.post(NEW_ADDRESS, new, asked.language, due_at, rows, secret=secret)


@does(MoveAddress)
def move_address(work: Work, asked: MoveAddress) -> None:
    """Move memberships to a confirmed new address, and notify the old one."""
    session, keys, (wanted, held) = work.session, work.keys, proven.moving(work, asked)
    identity = addresses.folded(wanted["new"])
    old = address_of(keys, held[0])
    work.post(MOVED, old, wanted["language"])
    _move_notes(work, addresses.folded(old), wanted["new"])
    for subscription in held:
        if not is_barred(session, keys.index, subscription.group, identity):
            _move(session, keys, subscription, wanted["new"])


def _move(session: Session, keyring: Keyring, subscription: Subscription, new: str) -> None:
    """Change a membership's address, or delete it if the new one is a member already."""
    identity = addresses.folded(new)
    other = proven.member(session, keyring, subscription.group, identity)
    if other is not None and other is not subscription:
        if other.is_active:
            forget_subscriptions(session, [subscription])
            return
        forget_subscriptions(session, [other])
    public_id, group = subscription.public_id, subscription.group
    subscription.wrapped_address = wrap_address(keyring, new, public_id, group)
    subscription.address_index = keyring.index.member(group.public_id, identity)
    session.flush()


def _move_notes(work: Work, identity: str, new: str) -> None:
    """Change the address of requests to be notified; duplicates are deleted."""
    session, keys, new_identity = work.session, work.keys, addresses.folded(new)
    there = {each.group_id: each for each in rows_of(session, keys, WaitlistEntry, new_identity)}
    for note in rows_of(session, keys, WaitlistEntry, identity):
        if there.get(note.group_id, note) is not note:
            session.delete(note)
            continue
        note.address_index = keys.index.member(note.group.public_id, new_identity)
        note.wrapped_address = wrap_address(keys, new, note.public_id, note.group, NOTE_COLUMN)
