"""Wrapped fields of a membership: address and name, opened only where they belong."""

from contextlib import suppress

from sqlalchemy import select

from belong_mail.core.decryption import DecryptionError, Keyring
from belong_mail.delivery.work import WRAPPED_COLUMNS, WrappedColumn
from belong_mail.groups.models import Group
from belong_mail.mail import address as addresses
from belong_mail.mail.address import InvalidAddress, domain, normalise
from belong_mail.members.models import PendingConfirmation, Subscription

ADDRESS_COLUMN = "subscriptions.wrapped_address"
NAME_COLUMN = "subscriptions.wrapped_name"
INTRODUCTION_COLUMN = "subscriptions.wrapped_introduction"
_GROUP = select(Group.public_id).where(Group.id == Subscription.group_id).scalar_subquery()
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
)


def row_of(public_id: str, group_public_id: str) -> str:
    """Name a membership as its address is wrapped for it: a row in another group is another row."""
    return f"{public_id}/{group_public_id}"


def address_of(keyring: Keyring, subscription: Subscription) -> str:
    """Open the address of a membership, or raise DecryptionError.

    Row, group and index must be those that it was wrapped for: an intruder who writes rows must not
    put one member's in another's place.
    """
    address, is_indexed = open_address(keyring, subscription)
    if not is_indexed:
        raise DecryptionError(ADDRESS_COLUMN)
    return address


def open_address(keyring: Keyring, subscription: Subscription) -> tuple[str, bool]:
    """Open the address of a membership; tell whether our index key gave it its name."""
    group = subscription.group.public_id
    row = row_of(subscription.public_id, group)
    address = keyring.opener.unwrap(subscription.wrapped_address, ADDRESS_COLUMN, row).decode()
    index = keyring.index.member(group, addresses.normalise(address))
    return address, index == subscription.address_index


def is_genuine(keyring: Keyring, subscription: Subscription) -> bool:
    """Tell whether a membership is the one that its row says it is."""
    with suppress(DecryptionError):
        return bool(address_of(keyring, subscription))
    return False


def first_name(keyring: Keyring, subscription: Subscription) -> str:
    if subscription.wrapped_name is None:
        return ""
    row = subscription.public_id
    return keyring.opener.unwrap(subscription.wrapped_name, NAME_COLUMN, row).decode()


def indexes_of(keyring: Keyring, group: Group, identity: str) -> dict[str, bytes | None]:
    """Return by what a normalised address is found in a group, and by what it is counted."""
    bare = addresses.untagged(identity)
    counted = keyring.index.member(group.public_id, bare) if bare != identity else None
    found = keyring.index.member(group.public_id, identity)
    return {"address_index": found, "counted_index": counted}


def wrap_field(keyring: Keyring, text: str, column: str, public_id: str) -> bytes:
    """Wrap what a member typed for a column of their row."""
    return keyring.opener.wrap(text.encode(), f"subscriptions.{column}", public_id)


def wrap_address(keyring: Keyring, address: str, public_id: str, group: Group) -> bytes:
    """Wrap an address for a membership, in this group alone."""
    return keyring.opener.wrap(address.encode(), ADDRESS_COLUMN, row_of(public_id, group.public_id))


def domain_name(keyring: Keyring, member: Subscription | None) -> bytes:
    """Return a keyed hash of the domain; b"" where there is no address that opens."""
    with suppress(DecryptionError, InvalidAddress):
        if member is not None:
            return keyring.index.domain(domain(normalise(open_address(keyring, member)[0])))
    return b""
