"""Encrypt and decrypt fields of memberships and requests, bound to row, column and group."""

from contextlib import suppress
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.core.decryption import BlindIndex, DecryptionError, Keyring
from belong_mail.delivery.work import WRAPPED_COLUMNS, WrappedColumn
from belong_mail.groups.models import Group
from belong_mail.mail.address import folded, untagged
from belong_mail.members.models import PendingConfirmation, Subscription, WaitlistEntry

Row = TypeVar("Row", Subscription, WaitlistEntry)
ADDRESS_COLUMN = "subscriptions.wrapped_address"
NOTE_COLUMN = "waitlist_entries.wrapped_address"
NAME_COLUMN = "subscriptions.wrapped_name"
INTRODUCTION_COLUMN = "subscriptions.wrapped_introduction"
_GROUP = select(Group.public_id).where(Group.id == Subscription.group_id).scalar_subquery()
_GROUP_OF_NOTE = select(Group.public_id).where(Group.id == WaitlistEntry.group_id).scalar_subquery()
_IS_OWNER = Subscription.id == PendingConfirmation.subscription_id
_OWNER = select(Subscription.public_id).where(_IS_OWNER).scalar_subquery()
WRAPPED_COLUMNS += (
    WrappedColumn(
        Subscription.wrapped_address, ADDRESS_COLUMN, Subscription.public_id + "/" + _GROUP
    ),
    WrappedColumn(Subscription.wrapped_name, NAME_COLUMN, Subscription.public_id),
    WrappedColumn(Subscription.wrapped_introduction, INTRODUCTION_COLUMN, Subscription.public_id),
    WrappedColumn(PendingConfirmation.wrapped_name, NAME_COLUMN, _OWNER),
    WrappedColumn(PendingConfirmation.wrapped_introduction, INTRODUCTION_COLUMN, _OWNER),
    WrappedColumn(
        WaitlistEntry.wrapped_address, NOTE_COLUMN, WaitlistEntry.public_id + "/" + _GROUP_OF_NOTE
    ),
)


def row_of(public_id: str, group_public_id: str) -> str:
    """Return the row's part of an address's associated data."""
    return f"{public_id}/{group_public_id}"


def address_of(keyring: Keyring, row: Subscription | WaitlistEntry) -> str:
    """Decrypt the address of a membership or request. Raises DecryptionError.

    Verifies row, group and index, so that an intruder who writes rows cannot put one member's
    address into another's row.
    """
    address, is_indexed = open_address(keyring, row)
    if not is_indexed:
        raise DecryptionError(row.__tablename__)
    return address


def open_address(keyring: Keyring, row: Subscription | WaitlistEntry) -> tuple[str, bool]:
    """Decrypt an address; also return whether its index was made with our key."""
    column, group = f"{row.__tablename__}.wrapped_address", row.group.public_id
    place = row_of(row.public_id, group)
    address = keyring.opener.unwrap(row.wrapped_address, column, place).decode()
    return address, row.address_index in (None, keyring.index.member(group, folded(address)))


def is_genuine(keyring: Keyring, row: Subscription | WaitlistEntry) -> bool:
    """Return whether the address of a membership or request can be decrypted and verified."""
    with suppress(DecryptionError):
        return bool(address_of(keyring, row))
    return False


def rows_of(session: Session, keyring: Keyring, table: type[Row], identity: str) -> list[Row]:
    """Find all memberships, or requests, of a mailbox: the only place that relates them.

    Skips rows whose address doesn't match the index.
    """
    groups = session.scalars(select(Group.public_id))
    names = [keyring.index.member(public_id, identity) for public_id in groups]
    found = select(table).join(Group).where(table.address_index.in_(names))
    rows = session.scalars(found.order_by(Group.position))
    return [each for each in rows if is_genuine(keyring, each)]


def find_by_address(
    session: Session, index: BlindIndex, group: Group, identity: str, table: type[Row]
) -> Row | None:
    """Find a row by its index, which the caller verifies by decrypting the address."""
    name = index.member(group.public_id, identity)
    return session.scalar(
        select(table).where(table.group_id == group.id, table.address_index == name)
    )


def first_name(keyring: Keyring, subscription: Subscription) -> str:
    if subscription.wrapped_name is None:
        return ""
    row = subscription.public_id
    return keyring.opener.unwrap(subscription.wrapped_name, NAME_COLUMN, row).decode()


def wrap_field(keyring: Keyring, text: str, column: str, public_id: str) -> bytes:
    """Wrap a text for a column of a membership."""
    return keyring.opener.wrap(text.encode(), f"subscriptions.{column}", public_id)


def wrap_address(
    keyring: Keyring, address: str, public_id: str, group: Group, column: str = ADDRESS_COLUMN
) -> bytes:
    """Wrap an address for a membership or request in this group, without its plus tag.

    An intruder's guess at a mailbox must reach it, and not all servers deliver plus tags.
    """
    place = row_of(public_id, group.public_id)
    return keyring.opener.wrap(untagged(address).encode(), column, place)
