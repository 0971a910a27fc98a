"""The worker's tasks about rights, and about rights that end.

An intruder in the web can seal any of these in the name of an office account. So the account must
provably work for the office, only staff are invited, no more a day than an office needs, and
everyone of the office hears of each right.
"""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations, proven
from belong_mail.accounts import service as accounts
from belong_mail.accounts.jobs import AcceptRights, EndRights, InviteAgain, InviteColleague
from belong_mail.accounts.models import RIGHT_AGE, Account, GroupLead
from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.decryption import DecryptionError, Keyring, Opener
from belong_mail.core.i18n import DEFAULT
from belong_mail.core.i18n import NAMES as LANGUAGES
from belong_mail.core.rate_limits import (
    INVITATIONS_RATE,
    RIGHTS_CHANGED_RATE,
    SAME_INVITATION_RATE,
)
from belong_mail.core.tokens import link_hash
from belong_mail.delivery.mailer import post_to_address
from belong_mail.delivery.work import Refused, StillLocked, Work, does, each_minute
from belong_mail.groups.models import Group

CHANGED = "rights-changed"
ENDING = "right-ends"
NAME_CHARACTERS = 80
# Events that the person concerned knows of, or is told of in other words.
ASKED_OR_ACCEPTED = ("invited", "accepted")
# The longest that is left of a right: a day more than its age, as web and worker have two clocks.
LONGEST = RIGHT_AGE + timedelta(days=1)
IS_OF_OFFICE = or_(Account.is_office, Account.wrapped_office.is_not(None))


@does(InviteColleague)
def receive_invitation(work: Work, asked: InviteColleague) -> None:
    """Create account and rights (not accepted yet), email the invitation, tell those concerned.

    They are told even if the address has every right already: silence would reveal that.
    """
    by = proven.office(work, asked.by)
    work.require_staff(asked.address)
    session, opener = work.session, work.keys.opener
    wanted = _groups(session, asked.groups)
    if not (wanted or asked.office):
        raise Refused  # otherwise a new account's row would reveal that the address had none
    work.use(b"rights/invitations", INVITATIONS_RATE)
    account = invitations.get_account(session, opener, work.keys.index, asked.address)
    leads = select(GroupLead.group_id).where(GroupLead.account_id == account.id)
    if not account.is_office and session.scalar(leads.limit(1)) is None:
        account.language = asked.language if asked.language in LANGUAGES else account.language
    account.name = account.name or plain_name(asked.name)
    groups = [each for each in wanted if _ask(work, account, each)]
    is_for_office = asked.office and not invitations.has_accepted_office(opener, account)
    if is_for_office:
        invitations.ask_account_for_office(opener, account)
        audit.record(session, Kind.OFFICE_INVITED, actor=by, account=account)
    for group in groups:
        audit.record(session, Kind.LEAD_INVITED, actor=by, account=account, group=group)
    if groups or is_for_office:
        invitations.post_invitation(session, work.keys, account)
    tell(work, "invited", account, wanted, asked.office)


@does(InviteAgain)
def receive_repetition(work: Work, asked: InviteAgain) -> None:
    """Email an open invitation once more."""
    proven.office(work, asked.by)
    account = proven.account(work, asked.account)
    work.use(b"rights/invitations", INVITATIONS_RATE)
    work.use(b"rights/again/" + account.public_id.encode(), SAME_INVITATION_RATE)
    invitations.post_invitation(work.session, work.keys, account)


@does(AcceptRights)
def receive_acceptance(work: Work, asked: AcceptRights) -> None:
    """Start the waiting time of accepted rights, by the worker's clock, and tell about them.

    The secret of the emailed link proves that the invited person accepts: it is in no row. Rights
    that were accepted before stay as they are; what an older invitation accepted, while a newer
    one was on its way, is open for the newer one.
    """
    session, opener, account = work.session, work.keys.opener, proven.account(work, asked.account)
    name = link_hash(asked.secret)
    groups = [each for each in _groups(session, asked.groups) if _begin(work, account, each, name)]
    is_of_office = asked.office and account.is_office
    is_of_office = is_of_office and invitations.is_invited_to_office(opener, account, name)
    if is_of_office:
        invitations.prove_office(opener, account)
    elif asked.office and invitations.is_invited_to_office(opener, account):
        account.is_office, account.office_ends_at = False, None  # open for the newer one
    if groups or is_of_office:
        tell(work, "accepted", account, groups, is_of_office)


@does(EndRights)
def receive_removal(work: Work, asked: EndRights) -> None:
    """Delete a right that the office or its own leader has ended, and tell those concerned."""
    session, account = work.session, proven.account(work, asked.account)
    if asked.office or asked.by != asked.account:
        proven.office(work, asked.by, account)
    groups = _groups(session, asked.groups)
    rows = [session.get(GroupLead, (account.id, each.id)) for each in groups]
    ended = [each for each in rows if each is not None]
    leads_on = any(each.ends_at is None or each.ends_at > work.at for each in ended)
    if leads_on or (asked.office and account.is_office):
        raise Refused
    work.use(b"rights/changes", RIGHTS_CHANGED_RATE)  # otherwise it stays, and `end_rights` tells
    for leadership in ended:
        session.delete(leadership)
    if asked.office:
        account.wrapped_office = None
    session.flush()
    tell(work, "removed", account, groups, asked.office)


def tell(
    work: Work,
    what: str,
    account: Account,
    groups: Iterable[Group],
    is_of_office: bool,  # noqa: FBT001 - what it is about, as the two before
) -> None:
    """Email the office's inbox and people, the groups' other leads, and the person concerned.

    A person who just accepted is not told. Proofs decide who is of the office and who leads, not
    marks, which the web may set. A lead reads only of groups that they lead.
    """
    session, keys, inbox = work.session, work.keys, work.mailer.office
    groups = list(groups)
    said: dict[str, Any] = {"what": what, "name": plain_name(account.name)}
    said["office"] = "yes" if is_of_office else ""
    names = _names(groups)
    post_to_address(session, keys, CHANGED, inbox, DEFAULT, None, groups=names, **said)
    told = {account.id}
    for one in office(session, keys.opener):
        if one.id not in told:
            post_to(session, keys, CHANGED, one, groups=names, **said)
            told.add(one.id)
    of_lead: dict[int, tuple[Account, list[Group]]] = {}
    for group in groups:
        for lead in leads(session, keys.opener, group):
            if lead.id not in told:
                of_lead.setdefault(lead.id, (lead, []))[1].append(group)
    for lead, led in of_lead.values():
        post_to(session, keys, CHANGED, lead, groups=_names(led), **{**said, "office": ""})
    if what not in ASKED_OR_ACCEPTED:
        post_to(session, keys, CHANGED, account, groups=names, is_you="yes", **said)


def concerned(session: Session, opener: Opener, groups: Iterable[Group]) -> list[Account]:
    """List everyone who provably works for the office or leads one of these groups."""
    found = [lead for group in groups for lead in leads(session, opener, group)]
    return list(dict.fromkeys((*office(session, opener), *found)))


def leads(session: Session, opener: Opener, group: Group) -> list[Account]:
    """List everyone who provably accepted to lead a group, whatever the web has marked since."""
    found = select(GroupLead, Account).join(Account, Account.id == GroupLead.account_id)
    rows = session.execute(found.where(GroupLead.group_id == group.id).order_by(Account.id))
    return [
        account
        for leadership, account in rows
        if invitations.has_accepted(opener, leadership, account, group)
    ]


@each_minute("Rights go on")
def end_rights(work: Work) -> None:
    """End rights that were removed or not renewed, and tell; the last of the office stays.

    Deletes the proof of each right that the marks say has ended, even if only an intruder's row
    removed a colleague. A right whose row says that it lasts longer than any lasts a year from now.
    """
    if not _is_any_over(work):
        return
    session, opener, at = work.session, work.keys.opener, work.at
    over = select(GroupLead).where(_is_over(at)).with_for_update(skip_locked=True)
    for leadership in session.scalars(over).all():
        if leadership.ends_at is None or leadership.ends_at > at:
            leadership.ends_at = at + RIGHT_AGE
            continue
        account = session.get_one(Account, leadership.account_id)
        group = session.get_one(Group, leadership.group_id)
        is_proven = invitations.has_accepted(opener, leadership, account, group)
        session.delete(leadership)
        session.flush()
        if is_proven:
            audit.record(session, Kind.RIGHT_ENDED, account=account, group=group)
            tell(work, "ended", account, [group], is_of_office=False)
    of_office = select(Account).where(IS_OF_OFFICE).with_for_update(skip_locked=True)
    people = session.scalars(of_office, execution_options={"populate_existing": True}).all()
    for account in _too_long(people, at):
        account.office_ends_at = at + RIGHT_AGE
    for account, what in _ended(people, opener, at).items():
        account.is_office = False
        account.office_since = account.office_ends_at = account.wrapped_office = None
        session.flush()
        audit.record(session, Kind.RIGHT_ENDED, account=account)
        tell(work, what, account, [], is_of_office=True)


@each_minute("A lock keeps rights from their end")
def find_locked_rights(work: Work) -> None:
    """Fail while a lock keeps rights from `end_rights`, so that the operator hears of it."""
    if _is_any_over(work):
        raise StillLocked


def _is_any_over(work: Work) -> bool:
    """Return whether any right is over or lasts too long, whether or not its row is locked."""
    at, lead = work.at, GroupLead.account_id
    found = select(Account, lead).outerjoin(GroupLead, and_(lead == Account.id, _is_over(at)))
    rows = work.session.execute(found.where(IS_OF_OFFICE | lead.is_not(None))).all()
    people = [account for account, over in rows if over is None]
    is_of_lead = len(people) < len(rows)
    return is_of_lead or bool(_too_long(people, at) or _ended(people, work.keys.opener, at))


def _is_over(at: datetime) -> ColumnElement[bool]:
    """Match rights to lead that have ended, or whose row says that they last too long."""
    end, is_forever = GroupLead.ends_at, GroupLead.accepted_at.is_not(None)
    return or_(end <= at, end > at + LONGEST, and_(end.is_(None), is_forever))


def _too_long(people: Sequence[Account], at: datetime) -> list[Account]:
    """Return whose row says that they work for the office longer than anyone may."""
    ends = ((each, each.office_ends_at) for each in people if each.is_office)
    return [each for each, end in ends if end is None or end > at + LONGEST]


def _ended(people: Sequence[Account], opener: Opener, at: datetime) -> dict[Account, str]:
    """Return whose right to work for the office has ended, and how; the last one's stays."""
    working = [each for each in people if each.is_office]
    expired = [each for each in working if each.office_ends_at and each.office_ends_at <= at]
    ended = {each: "ended" for each in expired if len(expired) < len(working)}
    for account in people:
        if not account.is_office and invitations.has_accepted_office(opener, account):
            ended[account] = "removed"
    return ended


@each_minute("Rights end unseen")
def tell_what_ends(work: Work) -> None:
    """Tell the office's inbox once that rights end soon."""
    session, at = work.session, work.at
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
        post_to_address(session, work.keys, ENDING, work.mailer.office, DEFAULT)


def _is_untold(told_at: Any, at: datetime) -> ColumnElement[bool]:
    """Match rights whose coming end was not announced; an older announcement was of another end."""
    return or_(told_at.is_(None), told_at < at - accounts.ENDS_SOON)


def plain_name(name: str) -> str:
    """Remove whatever a link needs from a name, so that no email carries an intruder's link."""
    plain = "".join(each if each.isalnum() or each in " .,'’()&-" else " " for each in name)
    return " ".join(plain.replace(".", ". ").split())[:NAME_CHARACTERS]


def _groups(session: Session, public_ids: Collection[str]) -> list[Group]:
    found = select(Group).where(Group.public_id.in_(public_ids), Group.retired_at.is_(None))
    return list(session.scalars(found.order_by(Group.position)))


def office(session: Session, opener: Opener) -> list[Account]:
    """List everyone who provably works for the office."""
    found = select(Account).where(Account.wrapped_office.is_not(None)).order_by(Account.id)
    return [
        each for each in session.scalars(found) if invitations.has_accepted_office(opener, each)
    ]


def _ask(work: Work, account: Account, group: Group) -> bool:
    """Invite an account to lead a group; return False if it leads it already.

    Whatever the web has marked since: an invitation takes no proof away.
    """
    opener = work.keys.opener
    held = work.session.get(GroupLead, (account.id, group.id))
    if held is not None and invitations.has_accepted(opener, held, account, group):
        return False
    right = invitations.grant_right(opener, account, group, None)
    leadership = invitations.ask_account(work.session, opener, account, group, right)
    return leadership.accepted_at is None


def _begin(work: Work, account: Account, group: Group, invited_as: str) -> bool:
    """Record when a right was accepted, unless it was before or by another invitation's secret."""
    opener = work.keys.opener
    leadership = work.session.get(GroupLead, (account.id, group.id))
    if leadership is None or leadership.accepted_at is None:
        return False
    said = invitations.opened_right(opener, leadership, account, group)
    if said is None or said["introduced_from"] is not None:
        return False
    if said["invited_as"] != invited_as:
        if leadership.ends_at is None or leadership.ends_at > work.at:
            leadership.accepted_at = leadership.ends_at = None
        return False
    wait = timedelta(0) if said["is_trusted"] else invitations.WAIT_AFTER_ACCEPTING
    leadership.wrapped_right = invitations.grant_right(opener, account, group, work.at + wait)
    return True


def _names(groups: Iterable[Group]) -> str:
    return "\n".join(each.names_in_emails for each in groups)


def post_to(session: Session, keyring: Keyring, kind: str, account: Account, **said: Any) -> None:
    """Queue an email to an account's owner; skip an account whose row was changed."""
    with suppress(DecryptionError):
        address = invitations.account_address(keyring.opener, keyring.index, account)
        post_to_address(session, keyring, kind, address, account.language, None, **said)
