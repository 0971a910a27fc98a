"""Prove rights and addresses by what the worker has wrapped, whatever the web has written.

An intruder in the web can write any row, and seal a job in anyone's name. Functions of `work`
return what a job names once it is proven, or raise Refused.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account, Right
from belong_mail.accounts.service import find_right, has_right
from belong_mail.core.db import now, required
from belong_mail.core.decryption import DecryptionError, Keyring, Opener
from belong_mail.delivery.work import WRAPPED_COLUMNS, Refused, Work, WrappedColumn
from belong_mail.groups.models import Group
from belong_mail.mail.address import normalise

ADDRESS_COLUMN = "accounts.wrapped_address"
PROOF = "rights.wrapped_proof"
_PERSON = select(Account.public_id).where(Account.id == Right.account_id).scalar_subquery()
_GROUP = select(Group.public_id).where(Group.id == Right.group_id).scalar_subquery()
WRAPPED_COLUMNS += (
    WrappedColumn(Account.wrapped_address, ADDRESS_COLUMN, Account.public_id),
    # The same as `Right.key`.
    WrappedColumn(Right.wrapped_proof, PROOF, _PERSON + func.coalesce("/" + _GROUP, "")),
)


def account(work: Work, public_id: str) -> Account:
    """Find an account by its public id, which proves no right."""
    found = select(Account).where(Account.public_id == public_id)
    return required(work.session.scalar(found), Refused)


def named_group(work: Work, public_id: str) -> Group:
    """Find a group by its public id, even a retired one."""
    found = select(Group).where(Group.public_id == public_id)
    return required(work.session.scalar(found), Refused)


def office(work: Work, public_id: str, leaving: Account | None = None) -> Account:
    """Return the account that asks, if it provably works for the office.

    For the account `leaving`, a proof is enough, as it may have just ended its own right.
    """
    by = account(work, public_id)
    is_enough = has_accepted if by is leaving else is_proven
    if not is_enough(work.session, work.keys.opener, by, None):
        raise Refused
    return by


def lead(work: Work, group_id: str, public_id: str) -> tuple[Group, Account]:
    """Return a group, and the leader who asks, whose right must be a day old."""
    group, by = named_group(work, group_id), account(work, public_id)
    if not may_meet_members(work.session, work.keys.opener, by, group):
        raise Refused
    return group, by


def address_of(keys: Keyring, account: Account) -> str:
    """Decrypt an account's address. Raises DecryptionError unless row and index fit."""
    row = account.public_id
    opened = keys.opener.unwrap(account.wrapped_address, ADDRESS_COLUMN, row).decode()
    if keys.index.account(normalise(opened)) != account.address_index:
        raise DecryptionError(ADDRESS_COLUMN)
    return opened


def prove(
    opener: Opener,
    right: Right,
    begins: datetime | None = None,
    *,
    is_trusted: bool = False,
    invited_as: str | None = "",
) -> None:
    """Store the wrapped proof of a right.

    `begins` is the time from which an accepted right allows introductions; None: not accepted, and
    only a secret with the hash `invited_as` accepts it. If both are None, its holder gave it up.
    `is_trusted`: an operator invited, so that there is no waiting time.
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


def is_given_up(opener: Opener, right: Right) -> bool:
    """Return whether a right's proof says that its holder gave it up."""
    said = opened_proof(opener, right)
    return said is not None and said["invited_as"] is None


def is_accepted(opener: Opener, right: Right) -> bool:
    """Return whether the right's proof says that it was accepted."""
    said = opened_proof(opener, right)
    return said is not None and said["begins"] is not None


def has_accepted(session: Session, opener: Opener, account: Account, group: Group | None) -> bool:
    """Return whether an account provably accepted a right, which may have ended."""
    right = find_right(session, account, group)
    return right is not None and is_accepted(opener, right)


def is_proven(session: Session, opener: Opener, account: Account, group: Group | None) -> bool:
    """Return whether an account provably leads a group or, without one, works for the office."""
    return has_right(session, account, group) and has_accepted(session, opener, account, group)


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


def rights(session: Session, opener: Opener, which: ColumnElement[bool]) -> list[Right]:
    """List the matching rights that were provably accepted."""
    found = session.scalars(select(Right).where(which).order_by(Right.account_id))
    return [each for each in found.all() if is_accepted(opener, each)]


def holders(session: Session, opener: Opener, group: Group | None) -> list[Account]:
    """List everyone who provably leads a group or, without one, works for the office."""
    of_group = Right.group_id == (group.id if group else None)
    return [each.person for each in rights(session, opener, of_group)]


def concerned(session: Session, opener: Opener, groups: Iterable[Group | None]) -> list[Account]:
    """List everyone who provably works for the office or leads one of these groups."""
    found = (one for each in (None, *groups) for one in holders(session, opener, each))
    return list(dict.fromkeys(found))
