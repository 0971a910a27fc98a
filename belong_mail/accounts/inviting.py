"""Inviting leads and taking the right back: the worker's side, which can name addresses."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account, Leadership
from belong_mail.db import new_public_id
from belong_mail.groups.models import Group
from belong_mail.mail import address as addresses
from belong_mail.opening import BlindIndex, Opener

PLACE = "accounts.wrapped_address"


def invite(
    session: Session,
    opener: Opener,
    index: BlindIndex,
    group: Group,
    address: str,
    language: str | None = None,
) -> Account:
    """Let an address lead a group; a second invitation changes nothing but a named language.

    Raises AddressRefused.
    """
    account = _account(session, opener, index, address)
    account.language = language or account.language
    if session.get(Leadership, (account.id, group.id)) is None:
        session.add(Leadership(account_id=account.id, group_id=group.id))
    return account


def invite_office(session: Session, opener: Opener, index: BlindIndex, address: str) -> None:
    """Let an address answer for the office. Raises AddressRefused."""
    _account(session, opener, index, address).is_office = True


def remove_office(session: Session, index: BlindIndex, address: str) -> bool:
    """Take the right to answer for the office from an address; tell whether it had it."""
    key = index.account(addresses.normalise(address))
    found = select(Account).where(Account.address_index == key, Account.is_office)
    account = session.scalar(found)
    if account is not None:
        account.is_office = False
    return account is not None


def _account(session: Session, opener: Opener, index: BlindIndex, address: str) -> Account:
    """Find or make the account of an address."""
    address = addresses.check(address)
    key = index.account(addresses.normalise(address))
    account = session.scalar(select(Account).where(Account.address_index == key))
    if account is None:
        public_id = new_public_id()
        wrapped = opener.wrap(address.encode(), PLACE, public_id)
        account = Account(public_id=public_id, address_index=key, wrapped_address=wrapped)
        session.add(account)
        session.flush()
    return account


def remove(session: Session, index: BlindIndex, group: Group, address: str) -> bool:
    """Take the right to lead a group from an address; tell whether it had it."""
    key = index.account(addresses.normalise(address))
    account = select(Account.id).where(Account.address_index == key).scalar_subquery()
    gone = delete(Leadership).where(
        Leadership.group_id == group.id, Leadership.account_id == account
    )
    return session.execute(gone.returning(Leadership.account_id)).first() is not None


def address_of(opener: Opener, account: Account) -> str:
    return opener.unwrap(account.wrapped_address, PLACE, account.public_id).decode()
