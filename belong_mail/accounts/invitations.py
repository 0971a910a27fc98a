"""Invite leaders and office staff, and prove their rights with the worker's keys."""

import json
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from belong_mail.accounts.models import RIGHT_AGE, Account, Right
from belong_mail.accounts.service import find_right, has_not_ended, has_right
from belong_mail.core import audit
from belong_mail.core.db import new_public_id, now
from belong_mail.core.decryption import BlindIndex, DecryptionError, Keyring, Opener
from belong_mail.core.tokens import link_hash
from belong_mail.delivery.mailer import Rows, post_to_address
from belong_mail.delivery.work import WRAPPED_COLUMNS, WrappedColumn
from belong_mail.groups.models import Group
from belong_mail.mail import address as addresses

INVITATION = "invitation"
ADDRESS_COLUMN = "accounts.wrapped_address"
PROOF = "rights.wrapped_proof"
_PERSON = select(Account.public_id).where(Account.id == Right.account_id).scalar_subquery()
_GROUP = select(Group.public_id).where(Group.id == Right.group_id).scalar_subquery()
WRAPPED_COLUMNS += (
    WrappedColumn(Account.wrapped_address, ADDRESS_COLUMN, Account.public_id),
    # The same as `Right.key`.
    WrappedColumn(Right.wrapped_proof, PROOF, _PERSON + func.coalesce("/" + _GROUP, "")),
)
# How long after accepting an invitation by the office a leader gets no member's address: an
# intruder in the web could have sent it, and people who are notified need time to object.
WAIT_AFTER_ACCEPTING = timedelta(hours=24)


def invite(
    session: Session, opener: Opener, index: BlindIndex, group: Group | None, address: str
) -> Account:
    """Give an address an accepted right, for samples and tests.

    An accepted right stays as it is. Raises InvalidAddress, and DecryptionError if the address's
    account was forged.
    """
    account = get_account(session, opener, index, address)
    right = ask_account(session, opener, account, group)
    if right.is_pending:
        right.accepted_at, right.ends_at = now(), now() + RIGHT_AGE
        prove(opener, right, now())
    return account


def ask(
    session: Session,
    keyring: Keyring,
    group: Group | None,
    address: str,
    language: str | None = None,
    name: str = "",
) -> bool:
    """Email an invitation to lead a group or, without one, to work for the office.

    Returns False, without an email, if the address has that right. Raises InvalidAddress, and
    DecryptionError if its account was forged.
    """
    opener = keyring.opener
    account = get_account(session, opener, keyring.index, address)
    account.language = language or account.language
    account.name = name or account.name
    if not ask_account(session, opener, account, group, is_trusted=True).is_pending:
        return False
    post_invitation(session, keyring, account)
    kind = audit.Kind.LEAD_INVITED if group else audit.Kind.OFFICE_INVITED
    audit.record(session, kind, group=group, account=account)
    return True


def post_invitation(session: Session, keyring: Keyring, account: Account) -> None:
    """Queue one email with all open invitations of an account, if any.

    Its link has a new secret, whose hash goes into their proofs: nothing else accepts them.
    """
    session.flush()
    opener, secret = keyring.opener, new_public_id()
    name = link_hash(secret)
    pending = select(Right).outerjoin(Right.group).where(Group.retired_at.is_(None))
    pending = pending.where(Right.account_id == account.id, Right.accepted_at.is_(None))
    asked = []
    for right in session.scalars(pending.where(has_not_ended()).order_by(Group.position)):
        said = opened_proof(opener, right)
        if said is not None and said["begins"] is None:
            prove(opener, right, is_trusted=said["is_trusted"], invited_as=name)
            asked.append(right.group)
    if not asked:
        return
    account.invited_as = name
    post_to_address(
        session,
        keyring,
        INVITATION,
        account_address(opener, keyring.index, account),
        account.language,
        None,
        Rows(account_id=account.id),
        secret=secret,
        groups=[group.name_in_emails for group in asked if group],
        is_for_office=None in asked,
    )


def ask_account(
    session: Session,
    opener: Opener,
    account: Account,
    group: Group | None,
    *,
    is_trusted: bool = False,
) -> Right:
    """Find or create a right; unless it is accepted, give it a new proof of an invitation."""
    right = find_right(session, account, group)
    if right is None:
        right = Right(person=account, group=group)
        session.add(right)
        session.flush()
    elif not is_proven(session, opener, account, group):
        # Without a proof it was never accepted; one that has ended is invited to again.
        right.accepted_at = right.ends_at = None
    if right.is_pending:
        right.since = now()
        prove(opener, right, is_trusted=is_trusted)
    return right


def prove(
    opener: Opener,
    right: Right,
    begins: datetime | None = None,
    *,
    is_trusted: bool = False,
    invited_as: str = "",
) -> None:
    """Store the wrapped proof of a right.

    `begins` is the time from which an accepted right is valid for introductions; None: not accepted
    yet, and only a secret with the hash `invited_as` accepts it. `is_trusted`: an operator invited,
    so that there is no waiting time.
    """
    said = {
        "begins": begins.isoformat() if begins else None,
        "is_trusted": is_trusted,
        "invited_as": invited_as,
    }
    right.wrapped_proof = opener.wrap(json.dumps(said).encode(), PROOF, right.key)


def opened_proof(opener: Opener, right: Right) -> dict[str, Any] | None:
    """Return the contents of a right's proof, or None if it has no valid one."""
    if "/" in right.person.public_id:
        return None  # no worker made it; in `Right.key` it could pass for another right
    with suppress(DecryptionError):
        said: dict[str, Any] = json.loads(
            opener.unwrap(right.wrapped_proof or b"", PROOF, right.key)
        )
        return said
    return None


def is_accepted(opener: Opener, right: Right) -> bool:
    """Return whether the right's proof says that it was accepted, whatever the web has written."""
    said = opened_proof(opener, right)
    return said is not None and said["begins"] is not None


def has_accepted(session: Session, opener: Opener, account: Account, group: Group | None) -> bool:
    """Return whether an account provably accepted a right, whatever the web has written."""
    right = find_right(session, account, group)
    return right is not None and is_accepted(opener, right)


def is_proven(session: Session, opener: Opener, account: Account, group: Group | None) -> bool:
    """Return whether an account provably leads a group or, without one, works for the office.

    The row alone proves nothing, as an intruder in the web can write it.
    """
    return has_right(session, account, group) and has_accepted(session, opener, account, group)


def proven_rights(session: Session, opener: Opener, account: Account) -> list[Right]:
    """List the rights that an account provably accepted, whatever the web has written."""
    found = select(Right).where(Right.account_id == account.id)
    return [right for right in session.scalars(found) if is_accepted(opener, right)]


def introduced_from(
    session: Session, opener: Opener, account: Account, group: Group
) -> datetime | None:
    """Return from when a leader may get members' addresses, or None without a proven right.

    The time is in the proof, by the worker's clock. `ends_at` is ignored: the web could set it for
    a moment to suppress an introduction, and the worker deletes rights that have ended.
    """
    right = find_right(session, account, group)
    said = right and opened_proof(opener, right)
    return datetime.fromisoformat(said["begins"]) if said and said["begins"] else None


def may_meet_members(session: Session, opener: Opener, account: Account, group: Group) -> bool:
    """Return whether a leader may get members' addresses now."""
    begins = introduced_from(session, opener, account, group)
    return begins is not None and begins <= now()


def find_account(session: Session, index: BlindIndex, address: str) -> Account | None:
    key = index.account(addresses.normalise(address))
    return session.scalar(select(Account).where(Account.address_index == key))


def get_account(session: Session, opener: Opener, index: BlindIndex, address: str) -> Account:
    """Find or create an address's account. Raises DecryptionError if its row was forged."""
    address = addresses.check(address)
    account = find_account(session, index, address)
    if account is None:
        key, public_id = index.account(addresses.normalise(address)), new_public_id()
        wrapped = opener.wrap(address.encode(), ADDRESS_COLUMN, public_id)
        account = Account(public_id=public_id, address_index=key, wrapped_address=wrapped)
        session.add(account)
        session.flush()
    account_address(opener, index, account)
    return account


def remove(session: Session, index: BlindIndex, group: Group | None, address: str) -> bool:
    """Delete an address's right or invitation; return whether there was one."""
    account = find_account(session, index, address)
    right = find_right(session, account, group) if account else None
    if right is None:
        return False
    session.delete(right)
    session.flush()
    kind = audit.Kind.LEAD_REMOVED if group else audit.Kind.OFFICE_REMOVED
    audit.record(session, kind, group=group, account=account)
    return True


def account_address(opener: Opener, index: BlindIndex, account: Account) -> str:
    """Decrypt an account's address. Raises DecryptionError unless row and index fit."""
    opened = opener.unwrap(account.wrapped_address, ADDRESS_COLUMN, account.public_id).decode()
    if index.account(addresses.normalise(opened)) != account.address_index:
        raise DecryptionError(ADDRESS_COLUMN)
    return opened
