"""Invite people to lead a group or to work for the office."""

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts import proven
from belong_mail.accounts.models import INVITATION, RIGHT_AGE, Account, Right
from belong_mail.accounts.service import HAS_NOT_ENDED, find_right
from belong_mail.core import audit
from belong_mail.core.db import new_public_id, now, update_if_free
from belong_mail.core.decryption import BlindIndex, Keyring, Opener
from belong_mail.core.tokens import Purpose, link_hash
from belong_mail.delivery.mailer import Email, Mailer, Rows, post_to_address, signed_from
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.work import unless_suppressed, with_link, writes
from belong_mail.groups.models import Group
from belong_mail.mail import address as addresses

# How long after accepting an invitation by the office a leader gets no member's address: an
# intruder in the web could have sent it, and people who are notified need time to object.
WAIT_AFTER_ACCEPTING = timedelta(hours=24)


def invite(session: Session, keys: Keyring, group: Group | None, address: str) -> Account:
    """Give an address an accepted right, for samples and tests.

    An accepted right stays as it is. Raises InvalidAddress, and DecryptionError if the address's
    account was forged.
    """
    account = get_account(session, keys, address)
    right = ask_account(session, keys.opener, account, group)
    if right.is_pending:
        right.accepted_at, right.ends_at = now(), now() + RIGHT_AGE
        proven.prove(keys.opener, right, now())
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
    account = get_account(session, keyring, address)
    account.language = language or account.language
    account.name = name or account.name
    if not ask_account(session, keyring.opener, account, group, is_trusted=True).is_pending:
        return False
    post_invitation(session, keyring, account)
    kind = audit.Kind.LEAD_INVITED if group else audit.Kind.OFFICE_INVITED
    audit.record(session, kind, group=group, account=account)
    return True


def post_invitation(session: Session, keyring: Keyring, account: Account) -> None:
    """Queue one email with all open invitations of an account, if any.

    The link has a new secret, whose hash goes into the invitations' proofs: no other link accepts.
    """
    session.flush()
    opener, secret = keyring.opener, new_public_id()
    name = link_hash(secret)
    pending = select(Right).outerjoin(Right.group).where(Group.retired_at.is_(None))
    pending = pending.where(Right.account_id == account.id, Right.accepted_at.is_(None))
    asked = []
    for right in session.scalars(pending.where(HAS_NOT_ENDED).order_by(Group.position)):
        said = proven.opened_proof(opener, right)
        if said is not None and said["begins"] is None and said["invited_as"] is not None:
            proven.prove(opener, right, is_trusted=said["is_trusted"], invited_as=name)
            right.ends_at = None
            asked.append(right.group)
    if not asked:
        return
    account.invited_as = name
    post_to_address(
        session,
        keyring,
        INVITATION,
        proven.address_of(keyring, account),
        account.language,
        None,
        Rows(account_id=account.id),
        secret=secret,
        groups=[group.name_in_emails for group in asked if group],
        is_for_office=None in asked,
    )


@writes(INVITATION)
def invitation_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email an invitation, with a link that accepts it."""
    letter = unless_suppressed(session, mailer, delivery)
    at = signed_from(delivery, Purpose.INVITATION)
    asked = Right.account_id == delivery.account_id, Right.accepted_at.is_(None)
    update_if_free(session, Right, *asked, Right.ends_at.is_(None), since=at)
    return with_link(mailer, letter, "sign_in.accept", Purpose.INVITATION, at)


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
    elif not proven.is_proven(session, opener, account, group):
        # A right without a proof was never accepted; one that has ended needs a new acceptance.
        right.accepted_at = right.ends_at = None
    if right.is_pending:
        right.since = now()
        proven.prove(opener, right, is_trusted=is_trusted)
    return right


def find_account(session: Session, index: BlindIndex, address: str) -> Account | None:
    key = index.account(addresses.normalise(address))
    return session.scalar(select(Account).where(Account.address_index == key))


def get_account(session: Session, keys: Keyring, address: str) -> Account:
    """Find or create an address's account. Raises DecryptionError if its row was forged."""
    address = addresses.check(address)
    account = find_account(session, keys.index, address)
    if account is None:
        key, public_id = keys.index.account(addresses.normalise(address)), new_public_id()
        wrapped = keys.opener.wrap(address.encode(), proven.ADDRESS_COLUMN, public_id)
        account = Account(public_id=public_id, address_index=key, wrapped_address=wrapped)
        session.add(account)
        session.flush()
    proven.address_of(keys, account)
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
