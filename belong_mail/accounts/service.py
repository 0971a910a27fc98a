"""Find leads, say what a lead may touch, and sign in by a link."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import compare_digest

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, update
from sqlalchemy.orm import Session

from belong_mail.accounts.models import RIGHT_AGE, Account, GroupLead, Passkey, SignIn
from belong_mail.core import audit, rate_limits
from belong_mail.core.audit import Kind
from belong_mail.core.db import now, required
from belong_mail.core.encryption import Sealer
from belong_mail.core.jobs import seal_job
from belong_mail.core.rate_limits import SIGN_IN_REFUSED_RATE, Limit
from belong_mail.core.tokens import BadToken
from belong_mail.groups.models import Group

# So long before its end the office and its holder are told that a right ends.
ENDS_SOON = timedelta(days=30)
# How an invitation's form names what is no group.
OFFICE = "office"
# The request and the email of a link by which who is signed in proves it again.
PROOF = "proof"
# The request and the email that an account's passkeys have changed.
PASSKEY_CHANGED = "passkey-changed"


def is_held() -> ColumnElement[bool]:
    """Tell of rights to lead whether they are accepted and have not ended."""
    has_not_ended = or_(GroupLead.ends_at.is_(None), GroupLead.ends_at > now())
    return and_(GroupLead.accepted_at.is_not(None), has_not_ended)


def leads_of(session: Session, group: Group) -> list[Account]:
    """List who leads a group; who has only been invited does not."""
    found = select(Account).join(GroupLead).where(GroupLead.group_id == group.id, is_held())
    return list(session.scalars(found.order_by(Account.id)))


class NotFound(Exception):
    """There is no such thing for this account: it may be another group's, or nobody's."""


def groups_led_by(account: Account) -> Select[int]:
    """Select the ids of the groups an account leads: every query for a lead goes through here."""
    return select(GroupLead.group_id).where(GroupLead.account_id == account.id, is_held())


def has_office_right(session: Session, account: Account) -> bool:
    """Tell whether an account works for the office, by a right that has not ended.

    The last one's right does not end: nobody would be left to renew one.
    """
    if not account.is_office:
        return False
    if account.office_ends_at is None or account.office_ends_at > now():
        return True
    return not has_office_besides(session, account)


def has_office_besides(session: Session, account: Account) -> bool:
    """Tell whether somebody else works for the office, by a right that has not ended."""
    others = select(Account.id).where(
        Account.is_office,
        or_(Account.office_ends_at.is_(None), Account.office_ends_at > now()),
        Account.id != account.id,
    )
    return session.scalar(others.limit(1)) is not None


def may_sign_in(session: Session, account: Account) -> bool:
    """Tell whether an account works for the office or leads a group."""
    return has_office_right(session, account) or leads_any(session, account)


def leads_any(session: Session, account: Account) -> bool:
    return session.scalar(groups_led_by(account).limit(1)) is not None


def count_pending_invitations(session: Session, group: Group) -> int:
    """Count who has been invited to lead a group and has not accepted."""
    found = select(func.count()).where(
        GroupLead.group_id == group.id, GroupLead.accepted_at.is_(None)
    )
    return session.scalar(found) or 0


@dataclass(frozen=True, slots=True)
class Invitation:
    """What an account is invited to and has not accepted, or has: an accepted one stays found."""

    account: Account
    groups: list[tuple[GroupLead, Group]]
    is_for_office: bool

    @property
    def open_groups(self) -> list[Group]:
        return [group for leadership, group in self.groups if leadership.accepted_at is None]


def find_invitation(session: Session, public_id: str) -> Invitation:
    """Find what an invitation's link is about, by its account's public id.

    Raises BadToken when it is over; one that was accepted is found as long as it is a right.
    """
    named = select(Account).where(Account.public_id == public_id)
    account = required(session.scalar(named), BadToken)
    found = (
        select(GroupLead, Group)
        .join(Group, Group.id == GroupLead.group_id)
        .where(GroupLead.account_id == account.id, Group.retired_at.is_(None))
        .order_by(Group.position)
    )
    groups = [(row[0], row[1]) for row in session.execute(found)]
    if not groups and account.office_since is None:
        raise BadToken
    return Invitation(account, groups, account.is_asked_for_office)


def accept(session: Session, sealer: Sealer, name: str, only: str = "") -> None:
    """Accept an invitation, or one thing of it: a group by its public id, or “office”.

    Raises BadToken when it is over; a second time changes nothing. The worker is told: it counts
    from then on.
    """
    invitation = find_invitation(session, name)
    account = invitation.account
    at = now()
    accepted = []
    for leadership, group in invitation.groups:
        if leadership.accepted_at is None and only in ("", group.public_id):
            leadership.accepted_at, leadership.ends_at = at, at + RIGHT_AGE
            accepted.append(group.public_id)
            audit.record(session, Kind.LEAD_ACCEPTED, actor=account, group=group)
    is_for_office = invitation.is_for_office and only in ("", OFFICE)
    if is_for_office:
        account.is_office, account.office_ends_at = True, at + RIGHT_AGE
        audit.record(session, Kind.OFFICE_ACCEPTED, actor=account)
    if accepted or is_for_office:
        said = {"account": account.public_id, "groups": accepted, "office": is_for_office}
        seal_job(session, sealer, "right-accepted", said)


def groups_of(session: Session, account: Account) -> list[Group]:
    """List the groups an account leads, in the directory's order."""
    found = select(Group).where(Group.id.in_(groups_led_by(account)), Group.retired_at.is_(None))
    return list(session.scalars(found.order_by(Group.position)))


def ending_soon(session: Session, account: Account) -> list[tuple[str, datetime]]:
    """List the groups, by name, that an account will not lead for much longer, and until when."""
    found = (
        select(Group.name, GroupLead.ends_at)
        .join(GroupLead, GroupLead.group_id == Group.id)
        .where(GroupLead.account_id == account.id, is_held(), Group.retired_at.is_(None))
        .where(GroupLead.ends_at < now() + ENDS_SOON)
        .order_by(Group.position)
    )
    return [(name, ends_at) for name, ends_at in session.execute(found) if ends_at is not None]


def group_for_lead(session: Session, account: Account, slug: str) -> Group:
    """Find a group that an account leads, or raise NotFound."""
    found = select(Group).where(
        Group.slug == slug, Group.id.in_(groups_led_by(account)), Group.retired_at.is_(None)
    )
    return required(session.scalar(found), NotFound)


def set_language(session: Session, account: Account, language: str) -> None:
    """Write to a lead in this language from now on."""
    session.get_one(Account, account.id).language = language


def has_passkey(session: Session, account: Account) -> bool:
    """Tell whether an account's owner signs in with a passkey."""
    found = select(Passkey.id).where(Passkey.account_id == account.id)
    return session.scalar(found.limit(1)) is not None


def may_have_passkeys(session: Session, account: Account) -> bool:
    """Tell whether an account has a right or is invited to one."""
    leads = select(GroupLead.group_id).where(GroupLead.account_id == account.id)
    is_of_office = account.is_office or account.office_since is not None
    return is_of_office or session.scalar(leads.limit(1)) is not None


def browser_proof(account: Account, nonce: str) -> str:
    """Prove that an account has signed in in a browser before; it names the account to nobody."""
    digest = hashlib.sha256(f"known-browser/{nonce}/{account.public_id}".encode()).hexdigest()
    return nonce + digest


def is_known_browser(proof: str, account: Account) -> bool:
    nonce = proof[: -2 * hashlib.sha256().digest_size]
    return compare_digest(proof.encode(), browser_proof(account, nonce).encode())


LINK_MAX_AGE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class SignInRequest:
    """Who wants to sign in, and what tells them from others who type the same address."""

    address: str
    language: str
    # In hexadecimal: SHA-256 of what the asking browser keeps in its cookie.
    browser_hash: str
    source: str = ""
    # A proof that the account has signed in in this browser before; see `is_known_browser`.
    known_as: str = ""


def ask_to_sign_in(
    session: Session, sealer: Sealer, asking: SignInRequest, due_at: datetime
) -> None:
    """Write down, sealed, that somebody wants to sign in; the worker knows whether they may."""
    seal_job(session, sealer, "sign-in", asking, due_at=due_at)


def find_sign_in(session: Session, public_id: str) -> SignIn:
    """Find a link that still works, of somebody who may still sign in, or raise BadToken."""
    found = (
        select(SignIn, Account)
        .join(Account)
        .where(
            SignIn.public_id == public_id,
            SignIn.used_at.is_(None),
            SignIn.created_at > now() - LINK_MAX_AGE,
        )
    )
    link, account = required(session.execute(found).first(), BadToken)
    if not may_sign_in(session, account):
        raise BadToken
    return link


def has_asked(session: Session, link: SignIn, browser_hash: bytes | None) -> bool:
    """Tell whether a browser asked to sign in to a link's account while links of then still work.

    Whoever asks while very many do gets no email of their own. The newest one serves them.
    """
    asked = select(SignIn.id).where(
        SignIn.account_id == link.account_id,
        SignIn.browser_hash == browser_hash,
        SignIn.created_at > now() - LINK_MAX_AGE,
    )
    return session.scalar(asked.limit(1)) is not None


def record_refusal(
    session: Session, account: Account | None, why: str, table: rate_limits.Table = Limit
) -> None:
    """Write down that somebody was not let in: once an hour for an account and a reason.

    Of an address that is nobody's account, the trail keeps no trace that tells it.
    """
    name = account.public_id if account is not None else ""
    key = hashlib.sha256(f"sign-in-refused/{why}/{name}".encode()).digest()[:16]
    if rate_limits.try_use(session, key, SIGN_IN_REFUSED_RATE, now(), table=table):
        audit.record(session, audit.Kind.SIGN_IN_REFUSED, account=account, detail=why)


def use_sign_in(session: Session, sign_in: SignIn) -> int:
    """Use a link up and return its account's id; raise BadToken if somebody was faster."""
    used = update(SignIn).where(SignIn.id == sign_in.id, SignIn.used_at.is_(None))
    account_id: int | None = session.scalar(used.values(used_at=now()).returning(SignIn.account_id))
    if account_id is None:
        raise BadToken
    return account_id
