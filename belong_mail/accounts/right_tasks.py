"""What the worker does for a sealed request about rights, and when a right ends.

Whoever breaks into the web can seal any of these in the name of an office account. So the account
must be one that a holder of the keys let work for the office, only staff are invited, no more in a
day than an office does, and every account of the office hears of each right.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from secrets import compare_digest
from typing import Any

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations
from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account, GroupLead
from belong_mail.core import audit, rate_limits
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.decryption import DecryptionError, Keyring, Opener
from belong_mail.core.i18n import DEFAULT
from belong_mail.core.i18n import NAMES as LANGUAGES
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import (
    INVITATIONS_RATE,
    RIGHTS_CHANGED_RATE,
    SAME_INVITATION_RATE,
    Rate,
)
from belong_mail.delivery.mailer import Mailer, post_to_address
from belong_mail.groups.models import Group

CHANGED = "rights-changed"
ENDING = "right-ends"
NAME_CHARACTERS = 80
# What the person it is about need not be told, or is told in other words.
ASKED_OR_ACCEPTED = ("invited", "accepted")


def receive_invitation(mailer: Mailer, session: Session, keyring: Keyring, job: Job) -> None:
    """Make account and rights, not accepted yet, mail the invitation, and tell those concerned."""
    said = keyring.open_job(job)
    by = office_account(session, keyring, said["by"])
    address = str(said["address"])
    if by is None or not keyring.staff.admits(address):
        return
    if not _may(session, b"rights/invitations", INVITATIONS_RATE):
        return
    account = invitations.get_account(session, keyring.opener, keyring.index, address)
    if not _has_any_right(session, account):
        account.language = said["language"] if said["language"] in LANGUAGES else account.language
    account.name = account.name or plain_name(str(said["name"]))
    groups = [
        each for each in _groups(session, said["groups"]) if _ask(session, keyring, account, each)
    ]
    is_for_office = bool(said["office"]) and not invitations.is_proven_office(
        keyring.opener, account
    )
    if is_for_office:
        invitations.ask_account_for_office(keyring.opener, account)
        audit.record(session, Kind.OFFICE_INVITED, actor=by, account=account)
    for group in groups:
        audit.record(session, Kind.LEAD_INVITED, actor=by, account=account, group=group)
    if groups or is_for_office:
        invitations.post_invitation(session, keyring, account)
        tell(session, keyring, mailer.office, "invited", account, groups, is_for_office)


def receive_repetition(session: Session, keyring: Keyring, job: Job) -> None:
    """Mail an invitation that was not accepted once more."""
    said = keyring.open_job(job)
    by = office_account(session, keyring, said["by"])
    account = _account(session, said["account"])
    if by is None or account is None:
        return
    key = b"rights/again/" + account.public_id.encode()
    if not _may(session, b"rights/invitations", INVITATIONS_RATE):
        return
    if _may(session, key, SAME_INVITATION_RATE):
        invitations.post_invitation(session, keyring, account)


def receive_acceptance(mailer: Mailer, session: Session, keyring: Keyring, job: Job) -> None:
    """Let the waiting time of accepted rights begin, by the worker's clock, and tell about them.

    The secret of the emailed link proves that the invited person accepts: no row has it. What was
    accepted before is left as it is: nothing becomes older or newer by asking again.
    """
    said = keyring.open_job(job)
    account = _account(session, said["account"])
    if account is None:
        return
    secret = keyring.index.link_secret(invitations.INVITATION, account.public_id)
    if not compare_digest(str(said["secret"]).encode(), secret.encode()):
        return
    accepted = _groups(session, said["groups"])
    groups = [group for group in accepted if _begin(session, keyring, account, group)]
    key = b"rights/office/" + account.public_id.encode()
    is_of_office = bool(said["office"]) and account.is_office
    is_of_office = is_of_office and invitations.may_become_office(keyring.opener, account)
    if is_of_office:
        invitations.prove_office(keyring.opener, account)
    is_news = is_of_office and _may(session, key, SAME_INVITATION_RATE)
    if groups or is_news:
        tell(session, keyring, mailer.office, "accepted", account, groups, is_news)


def receive_removal(mailer: Mailer, session: Session, keyring: Keyring, job: Job) -> None:
    """Delete a right that the office has ended, and tell those concerned."""
    said = keyring.open_job(job)
    account, is_of_office = _account(session, said["account"]), bool(said["office"])
    if account is None or office_account(session, keyring, said["by"], account) is None:
        return
    groups = _groups(session, said["groups"])
    rows = [session.get(GroupLead, (account.id, each.id)) for each in groups]
    ended = [each for each in rows if each is not None]
    leads_on = any(each.ends_at is None or each.ends_at > now() for each in ended)
    if leads_on or (is_of_office and account.is_office):
        return
    for leadership in ended:
        session.delete(leadership)
    if is_of_office:
        account.wrapped_office = None
    session.flush()
    if _may(session, b"rights/changes", RIGHTS_CHANGED_RATE):
        tell(session, keyring, mailer.office, "removed", account, groups, is_of_office)


def tell(
    session: Session,
    keyring: Keyring,
    inbox: str,
    what: str,
    account: Account,
    groups: Iterable[Group],
    is_of_office: bool,  # noqa: FBT001 - what it is about, as the two before
) -> None:
    """Email the office's inbox and people, the groups' other leads, and who it is about.

    Whoever just accepted is not told. Proofs say who is of the office and who leads, not marks,
    which the web may set. A lead reads of the groups alone that they lead.
    """
    groups = list(groups)
    said: dict[str, Any] = {"what": what, "name": plain_name(account.name)}
    said["office"] = "yes" if is_of_office else ""
    names = _names(groups)
    post_to_address(session, keyring, CHANGED, inbox, DEFAULT, None, groups=names, **said)
    told = {account.id}
    for one in office(session, keyring.opener):
        if one.id not in told:
            post_to(session, keyring, CHANGED, one, groups=names, **said)
            told.add(one.id)
    of_lead: dict[int, tuple[Account, list[Group]]] = {}
    for group in groups:
        for lead in _proven_leads(session, keyring.opener, group):
            if lead.id not in told:
                of_lead.setdefault(lead.id, (lead, []))[1].append(group)
    for lead, led in of_lead.values():
        post_to(session, keyring, CHANGED, lead, groups=_names(led), **{**said, "office": ""})
    if what not in ASKED_OR_ACCEPTED:
        post_to(session, keyring, CHANGED, account, groups=names, is_you="yes", **said)


def _proven_leads(session: Session, opener: Opener, group: Group) -> list[Account]:
    """List who provably accepted to lead a group."""
    found = select(GroupLead, Account).join(Account, Account.id == GroupLead.account_id)
    rows = session.execute(found.where(GroupLead.group_id == group.id).order_by(Account.id))
    return [
        account
        for leadership, account in rows
        if invitations.has_accepted(opener, leadership, account, group)
    ]


def end_rights(session: Session, keyring: Keyring, inbox: str) -> None:
    """End what nobody has renewed or was removed, and tell; the last of the office stays."""
    at = now()
    over = select(GroupLead).where(GroupLead.ends_at <= at).with_for_update(skip_locked=True)
    for leadership in session.scalars(over).all():
        account = session.get_one(Account, leadership.account_id)
        group = session.get_one(Group, leadership.group_id)
        is_proven = invitations.has_accepted(keyring.opener, leadership, account, group)
        session.delete(leadership)
        session.flush()
        if is_proven:
            audit.record(session, Kind.RIGHT_ENDED, account=account, group=group)
            tell(session, keyring, inbox, "ended", account, [group], is_of_office=False)
    working = select(Account).where(Account.is_office).with_for_update(skip_locked=True)
    people = session.scalars(working).all()
    if any(each.office_ends_at is None or each.office_ends_at > at for each in people):
        for account in people:
            if account.office_ends_at is not None and account.office_ends_at <= at:
                account.is_office = False
                account.office_since = account.office_ends_at = account.wrapped_office = None
                session.flush()
                audit.record(session, Kind.RIGHT_ENDED, account=account)
                tell(session, keyring, inbox, "ended", account, [], is_of_office=True)


def tell_what_ends(session: Session, keyring: Keyring, inbox: str) -> None:
    """Tell the office's inbox once that rights end soon."""
    at = now()
    soon, in_service = at + accounts.ENDS_SOON, select(Group.id).where(Group.retired_at.is_(None))
    leads = (
        update(GroupLead)
        .where(GroupLead.ends_at < soon, GroupLead.group_id.in_(in_service))
        .where(_is_untold(GroupLead.reminded_at, at))
        .values(reminded_at=at)
    )
    of_office = (
        update(Account)
        .where(Account.is_office, Account.office_ends_at < soon)
        .where(_is_untold(Account.office_reminded_at, at))
        .values(office_reminded_at=at)
    )
    ending = [
        *session.execute(leads.returning(GroupLead.account_id)),
        *session.execute(of_office.returning(Account.id)),
    ]
    if ending:
        post_to_address(session, keyring, ENDING, inbox, DEFAULT)


def _is_untold(told_at: Any, at: datetime) -> ColumnElement[bool]:
    """Tell of rights that end soon whether that was not told yet; what is older was another end."""
    return or_(told_at.is_(None), told_at < at - accounts.ENDS_SOON)


def plain_name(name: str) -> str:
    """Leave of a name what is one: the web wrote it, and it stands in an email of ours.

    No program takes the rest for a link.
    """
    plain = "".join(each if each.isalnum() or each in " .,'’()&-" else " " for each in name)
    return " ".join(plain.replace(".", ". ").split())[:NAME_CHARACTERS]


def _may(session: Session, key: bytes, rate: Rate) -> bool:
    """Count a use where the worker alone counts, unless it is used up."""
    return rate_limits.try_use(session, key, rate, now()) is not None


def _account(session: Session, public_id: object) -> Account | None:
    return session.scalar(select(Account).where(Account.public_id == str(public_id)))


def office_account(
    session: Session, keyring: Keyring, public_id: object, leaving: Account | None = None
) -> Account | None:
    """Find who asks, if a holder of the keys let them work for the office.

    Who ends their own right has it no more, and still has its proof.
    """
    by = _account(session, public_id)
    is_proven = invitations.may_become_office if by is leaving else invitations.is_proven_office
    return by if by is not None and is_proven(keyring.opener, by) else None


def _groups(session: Session, public_ids: object) -> list[Group]:
    names = [str(each) for each in public_ids] if isinstance(public_ids, list) else []
    found = select(Group).where(Group.public_id.in_(names), Group.retired_at.is_(None))
    return list(session.scalars(found.order_by(Group.position)))


def office(session: Session, opener: Opener) -> list[Account]:
    """List who provably works for the office."""
    found = select(Account).where(Account.wrapped_office.is_not(None)).order_by(Account.id)
    return [
        each for each in session.scalars(found) if invitations.has_accepted_office(opener, each)
    ]


def _has_any_right(session: Session, account: Account) -> bool:
    leads = select(GroupLead.group_id).where(GroupLead.account_id == account.id)
    return account.is_office or session.scalar(leads.limit(1)) is not None


def _ask(session: Session, keyring: Keyring, account: Account, group: Group) -> bool:
    """Invite an account to lead a group; False: it leads it already."""
    right = invitations.grant_right_from(keyring.opener, account, group, None)
    leadership = invitations.ask_account(session, keyring.opener, account, group, right)
    return leadership.accepted_at is None


def _begin(session: Session, keyring: Keyring, account: Account, group: Group) -> bool:
    """Note when a right was accepted, if it was given and that was not noted before."""
    leadership = session.get(GroupLead, (account.id, group.id))
    if leadership is None or leadership.accepted_at is None:
        return False
    said = invitations.opened_right(keyring.opener, leadership, account, group)
    if said is None or invitations.has_accepted(keyring.opener, leadership, account, group):
        return False
    is_trusted = json.loads(said)["is_trusted"]
    wait = timedelta(0) if is_trusted else invitations.WAIT_AFTER_ACCEPTING
    leadership.wrapped_right = invitations.grant_right_from(
        keyring.opener, account, group, now() + wait
    )
    return True


def _names(groups: Iterable[Group]) -> str:
    return "\n".join(each.name for each in groups)


def post_to(session: Session, keyring: Keyring, kind: str, account: Account, **said: Any) -> None:
    """Ask for an email to an account's owner; one whose row was changed gets none."""
    with suppress(DecryptionError):
        address = invitations.account_address(keyring.opener, keyring.index, account)
        post_to_address(session, keyring, kind, address, account.language, None, **said)
