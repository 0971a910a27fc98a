"""Invite leads and office colleagues, and prove their rights with the worker's keys."""

import json
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts.models import RIGHT_AGE, Account, GroupLead
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
RIGHT = "group_leads.wrapped_right"
OFFICE_RIGHT = "accounts.wrapped_office"
_LEAD = select(Account.public_id).where(Account.id == GroupLead.account_id).scalar_subquery()
_GROUP = select(Group.public_id).where(Group.id == GroupLead.group_id).scalar_subquery()
WRAPPED_COLUMNS += (
    WrappedColumn(Account.wrapped_address, ADDRESS_COLUMN, Account.public_id),
    WrappedColumn(Account.wrapped_office, OFFICE_RIGHT, Account.public_id),
    WrappedColumn(GroupLead.wrapped_right, RIGHT, _LEAD + "/" + _GROUP),
)
# Contents of a proof of a right to work for the office: accepted, or invited; then the hash of the
# invitation's secret follows.
OFFICE, ASKED = b"office", b"asked/"
# How long after accepting an office invitation a lead is introduced to no member: an intruder in
# the web could have sent it, and those who are told need time to object.
WAIT_AFTER_ACCEPTING = timedelta(hours=24)


def invite(
    session: Session, opener: Opener, index: BlindIndex, group: Group, address: str
) -> Account:
    """Let an address lead a group without asking its owner: for samples and tests.

    A leader of the group keeps their right as it is. Raises InvalidAddress, and DecryptionError if
    the address's account was changed in the database.
    """
    account = get_account(session, opener, index, address)
    right = grant_right(opener, account, group, now())
    leadership = ask_account(session, opener, account, group, right)
    leadership.accepted_at = leadership.accepted_at or now()
    leadership.ends_at = leadership.ends_at or now() + RIGHT_AGE
    return account


def ask(
    session: Session,
    keyring: Keyring,
    group: Group | None,
    address: str,
    language: str | None = None,
    name: str = "",
) -> bool:
    """Email an invitation to lead a group, or to work for the office if there is none.

    Until it is accepted nothing else goes to the address. Returns False, and sends nothing, if it
    has that right already. Raises InvalidAddress.
    """
    opener = keyring.opener
    account = get_account(session, opener, keyring.index, address)
    account.language = language or account.language
    account.name = name or account.name
    if group is not None:
        right = grant_right(opener, account, group, None, is_trusted=True)
        leadership = ask_account(session, opener, account, group, right)
        if leadership.accepted_at is not None:
            return False
        leadership.since = now()
    elif is_proven_office(opener, account):
        return False
    else:
        ask_account_for_office(opener, account)
    post_invitation(session, keyring, account)
    kind = audit.Kind.LEAD_INVITED if group else audit.Kind.OFFICE_INVITED
    audit.record(session, kind, group=group, account=account)
    return True


def post_invitation(session: Session, keyring: Keyring, account: Account) -> None:
    """Queue one email with everything that an account is invited to, if anything.

    Its secret is a new one, and each of these rights carries its hash: no other accepts them.
    """
    session.flush()
    opener, secret = keyring.opener, new_public_id()
    name = link_hash(secret)
    asked = select(GroupLead, Group).join(Group, Group.id == GroupLead.group_id)
    asked = asked.where(GroupLead.account_id == account.id, GroupLead.accepted_at.is_(None))
    asked = asked.where(GroupLead.ends_at.is_(None), Group.retired_at.is_(None))
    groups = []
    for leadership, group in session.execute(asked.order_by(Group.position)):
        said = opened_right(opener, leadership, account, group)
        if said is not None and said["introduced_from"] is None:
            leadership.wrapped_right = grant_right(
                opener, account, group, None, is_trusted=said["is_trusted"], invited_as=name
            )
            groups.append(group.name_in_emails)
    is_for_office = account.is_asked_for_office and is_invited_to_office(opener, account)
    if is_for_office:
        ask_account_for_office(opener, account, name)
    if not (groups or is_for_office):
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
        groups=groups,
        is_for_office=is_for_office,
    )


def ask_account(
    session: Session, opener: Opener, account: Account, group: Group, right: bytes
) -> GroupLead:
    """Find or create an account's right to lead a group, with a new proof until it is accepted."""
    leadership = session.get(GroupLead, (account.id, group.id))
    if leadership is None:
        leadership = GroupLead(account_id=account.id, group_id=group.id)
        session.add(leadership)
        session.flush()
    elif not is_proven_lead(session, opener, account, group):
        # A row without a proof proves no acceptance, and an ended right is asked anew.
        leadership.accepted_at = leadership.ends_at = None
    if leadership.accepted_at is None:
        leadership.wrapped_right = right
    return leadership


def is_proven_lead(session: Session, opener: Opener, account: Account, group: Group) -> bool:
    """Return whether an account provably leads a group: invited with these keys, and accepted.

    The row alone proves nothing: an intruder in the web can write one.
    """
    leadership = session.get(GroupLead, (account.id, group.id))
    if leadership is None or leadership.accepted_at is None:
        return False
    if leadership.ends_at is not None and leadership.ends_at <= now():
        return False
    return has_accepted(opener, leadership, account, group)


def has_accepted(opener: Opener, leadership: GroupLead, account: Account, group: Group) -> bool:
    """Return whether the invited person provably accepted, whatever the web has marked since."""
    said = opened_right(opener, leadership, account, group)
    return said is not None and said["introduced_from"] is not None


def opened_right(
    opener: Opener, leadership: GroupLead, account: Account, group: Group
) -> dict[str, Any] | None:
    """Return the contents of a right's proof, accepted or not, or None if it proves nothing."""
    with suppress(DecryptionError):
        said: dict[str, Any] = json.loads(
            opener.unwrap(leadership.wrapped_right or b"", RIGHT, _named(account, group))
        )
        return said
    return None


def introduced_from(
    session: Session, opener: Opener, account: Account, group: Group
) -> datetime | None:
    """Return from when members may be introduced to a lead; None if it provably leads nothing.

    The worker wrapped the time by its own clock, when it read the acceptance. No mark of the web's
    counts: for a moment it would mute an introduction, and the worker deletes a right that ends.
    """
    leadership = session.get(GroupLead, (account.id, group.id))
    said = leadership and opened_right(opener, leadership, account, group)
    return (
        datetime.fromisoformat(said["introduced_from"])
        if said and said["introduced_from"]
        else None
    )


def may_meet_members(session: Session, opener: Opener, account: Account, group: Group) -> bool:
    """Return whether a lead may be sent members' addresses now."""
    begins = introduced_from(session, opener, account, group)
    return begins is not None and begins <= now()


def has_proven_right(session: Session, opener: Opener, account: Account) -> bool:
    """Return whether someone provably accepted any right, whatever the web has marked since."""
    return has_accepted_office(opener, account) or bool(proven_groups(session, opener, account))


def proven_groups(session: Session, opener: Opener, account: Account) -> list[Group]:
    """List the groups that someone provably accepted to lead."""
    found = select(GroupLead, Group).join(Group, Group.id == GroupLead.group_id)
    led = session.execute(found.where(GroupLead.account_id == account.id).order_by(Group.position))
    return [group for leadership, group in led if has_accepted(opener, leadership, account, group)]


def grant_right(
    opener: Opener,
    account: Account,
    group: Group,
    begins: datetime | None,
    *,
    is_trusted: bool = False,
    invited_as: str = "",
) -> bytes:
    """Return the proof, for the worker, that an account may lead a group.

    Members are introduced from `begins` on; None means not accepted yet, and the secret with the
    hash `invited_as` accepts it. A person whom an operator invited is trusted, and waits for
    nothing after accepting.
    """
    said = {
        "introduced_from": begins.isoformat() if begins else None,
        "is_trusted": is_trusted,
        "invited_as": invited_as,
    }
    return opener.wrap(json.dumps(said).encode(), RIGHT, _named(account, group))


def _named(account: Account, group: Group) -> str:
    return f"{account.public_id}/{group.public_id}"


def ask_account_for_office(opener: Opener, account: Account, invited_as: str = "") -> None:
    """Store that an account is invited to work for the office, with the proof."""
    account.is_office, account.office_ends_at = False, None
    account.office_since = now()
    account.wrapped_office = opener.wrap(
        ASKED + invited_as.encode(), OFFICE_RIGHT, account.public_id
    )


def prove_office(opener: Opener, account: Account) -> None:
    """Store the proof that an account works for the office: invited and accepted."""
    account.wrapped_office = opener.wrap(OFFICE, OFFICE_RIGHT, account.public_id)


def is_proven_office(opener: Opener, account: Account) -> bool:
    """Return whether an account provably works for the office."""
    return account.is_office and has_accepted_office(opener, account)


def has_accepted_office(opener: Opener, account: Account) -> bool:
    """Return whether someone provably works for the office, whatever the web has marked since."""
    return _office_proof(opener, account) == OFFICE


def is_invited_to_office(opener: Opener, account: Account, invited_as: str = "") -> bool:
    """Return whether an account is provably invited to work for the office, by this invitation."""
    return _office_proof(opener, account).startswith(ASKED + invited_as.encode())


def _office_proof(opener: Opener, account: Account) -> bytes:
    with suppress(DecryptionError):
        return opener.unwrap(account.wrapped_office or b"", OFFICE_RIGHT, account.public_id)
    return b""


def find_account(session: Session, index: BlindIndex, address: str) -> Account | None:
    key = index.account(addresses.normalise(address))
    return session.scalar(select(Account).where(Account.address_index == key))


def remove_office(session: Session, index: BlindIndex, address: str) -> bool:
    """Remove an address's right to work for the office; return whether it had it."""
    account = find_account(session, index, address)
    if account is None or not account.is_office:
        return False
    account.is_office = False
    account.office_since = account.office_ends_at = account.wrapped_office = None
    audit.record(session, audit.Kind.OFFICE_REMOVED, account=account)
    return True


def get_account(session: Session, opener: Opener, index: BlindIndex, address: str) -> Account:
    """Find or create an address's account. Raises DecryptionError if the row is another's."""
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


def remove_lead(session: Session, index: BlindIndex, group: Group, address: str) -> bool:
    """Remove an address's right to lead a group; return whether it had it."""
    account = find_account(session, index, address)
    leadership = session.get(GroupLead, (account.id, group.id)) if account else None
    if leadership is None:
        return False
    session.delete(leadership)
    session.flush()
    audit.record(session, audit.Kind.LEAD_REMOVED, group=group, account=account)
    return True


def account_address(opener: Opener, index: BlindIndex, account: Account) -> str:
    """Open an account's address. Raises DecryptionError if row and index are not its own."""
    opened = opener.unwrap(account.wrapped_address, ADDRESS_COLUMN, account.public_id).decode()
    if index.account(addresses.normalise(opened)) != account.address_index:
        raise DecryptionError(ADDRESS_COLUMN)
    return opened
