"""The office's verbs for leads and colleagues: list, invite, renew, remove.

The office types people's names, because the web cannot open an address. A verb that takes a right
away acts at once; one that gives a right is sealed for the worker, which checks who asks.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from belong_mail.accounts.jobs import EndRights, InviteAgain, InviteColleague, LetIn
from belong_mail.accounts.models import RIGHT_AGE, Account, BrowserSession, GroupLead
from belong_mail.accounts.service import (
    OFFICE,
    NotFound,
    has_not_ended,
    has_office_besides,
)
from belong_mail.accounts.signing_in import has_passkey, identity_of
from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.db import now
from belong_mail.core.encryption import Sealer
from belong_mail.groups.models import Group

# With fewer leads, a group stands still when one of them is away.
ENOUGH_LEADS = 2
# How long before its end the office may renew a right.
RENEW_WITHIN = timedelta(days=60)


class LastOfficeAccount(Exception):
    """The removal would leave no one to work for the office."""


@dataclass(frozen=True, slots=True)
class Role:
    """A right that a person has or is invited to; without a group, to work for the office."""

    person: Account
    group: Group | None
    since: datetime
    accepted_at: datetime | None
    ends_at: datetime | None

    @property
    def is_pending(self) -> bool:
        return self.accepted_at is None

    @property
    def days_waiting(self) -> int:
        return (now() - self.since).days

    @property
    def is_over(self) -> bool:
        return self.ends_at is not None and self.ends_at <= now()

    @property
    def counts(self) -> bool:
        return not (self.is_pending or self.is_over)

    @property
    def ends_soon(self) -> bool:
        return self.ends_at is not None and self.ends_at < now() + RENEW_WITHIN

    @property
    def key(self) -> str:
        """Return its key in a form: the person's public id, and the group's slug or “office”."""
        return f"{self.person.public_id}/{self.group.slug if self.group else OFFICE}"


@dataclass(frozen=True, slots=True)
class Team:
    """The leaders of a group, or the people of the office if there is no group."""

    group: Group | None
    roles: list[Role]

    @property
    def has_too_few(self) -> bool:
        return sum(each.counts for each in self.roles) < ENOUGH_LEADS


def list_teams(session: Session) -> list[Team]:
    """List the leaders of each group, and last the people of the office."""
    found = (
        select(GroupLead, Account)
        .join(Account, Account.id == GroupLead.account_id)
        .where(has_not_ended())
        .order_by(Account.name, Account.id)
    )
    by_group: dict[int, list[tuple[GroupLead, Account]]] = {}
    for leadership, person in session.execute(found):
        by_group.setdefault(leadership.group_id, []).append((leadership, person))
    groups = select(Group).where(Group.retired_at.is_(None)).order_by(Group.position)
    listed = [
        Team(group, [_lead_role(lead, who, group) for lead, who in by_group.get(group.id, [])])
        for group in session.scalars(groups)
    ]
    of_office = select(Account).where(or_(Account.is_office, Account.office_since.is_not(None)))
    people = session.scalars(of_office.order_by(Account.name, Account.id))
    return [*listed, Team(None, [_office_role(person) for person in people])]


def roles_of(session: Session, person: Account) -> list[Role]:
    """List the rights that a person has or is invited to."""
    found = (
        select(GroupLead, Group)
        .join(Group, Group.id == GroupLead.group_id)
        .where(GroupLead.account_id == person.id, has_not_ended(), Group.retired_at.is_(None))
        .order_by(Group.position)
    )
    roles = [_lead_role(row[0], person, row[1]) for row in session.execute(found)]
    if person.is_office or person.is_asked_for_office:
        roles.append(_office_role(person))
    return roles


def find_person(session: Session, public_id: str) -> Account:
    """Find a person who has a right or is invited to one. Raises NotFound."""
    person = session.scalar(select(Account).where(Account.public_id == public_id))
    if person is None or not roles_of(session, person):
        raise NotFound
    return person


def invite(session: Session, sealer: Sealer, asked: InviteColleague) -> None:
    """Ask the worker to invite someone; only it can tell whether the address is known."""
    asked.ask(session, sealer)
    audit.record(session, Kind.INVITATION_ASKED)


def invite_again(session: Session, sealer: Sealer, by: Account, person: Account) -> None:
    """Ask the worker to email someone's open invitations once more."""
    InviteAgain(by.public_id, person.public_id).ask(session, sealer)
    audit.record(session, Kind.INVITED_AGAIN, account=person)


def withdraw(session: Session, person: Account) -> None:
    """Withdraw a person's open invitations; their link stops working at once."""
    pending = update(GroupLead).where(GroupLead.account_id == person.id, has_not_ended())
    session.execute(pending.where(GroupLead.accepted_at.is_(None)).values(ends_at=now()))
    if person.is_asked_for_office:
        person.office_since = None
    audit.record(session, Kind.INVITATION_WITHDRAWN, account=person)


def remove(
    session: Session, sealer: Sealer, by: Account, person: Account, slug: str | None
) -> None:
    """End someone's right to lead a group, or to work for the office, and all their sessions.

    Raises NotFound, LastOfficeAccount.
    """
    if slug is not None:
        stop_leading(session, sealer, by, person, slug)
    else:
        _require_another(session, person)
        person.is_office = False
        person.office_since = person.office_ends_at = None
        audit.record(session, Kind.OFFICE_REMOVED, account=person)
        EndRights(by.public_id, person.public_id, [], office=True).ask(session, sealer)
    end_sessions(session, person)


def stop_leading(session: Session, sealer: Sealer, by: Account, person: Account, slug: str) -> None:
    """End a right to lead a group, someone's or one's own; the office can invite them again.

    The worker tells those concerned, and deletes the passkeys of people without any right. Raises
    NotFound.
    """
    group = session.scalar(select(Group).where(Group.slug == slug))
    leadership = session.get(GroupLead, (person.id, group.id)) if group else None
    if leadership is None or (leadership.ends_at is not None and leadership.ends_at <= now()):
        raise NotFound
    leadership.ends_at = now()
    session.flush()
    audit.record(session, Kind.LEAD_REMOVED, account=person, group=group)
    groups = [group.public_id] if group else []
    EndRights(by.public_id, person.public_id, groups, office=False).ask(session, sealer)


def let_in(session: Session, sealer: Sealer, by: Account, person: Account) -> None:
    """Ask the worker to switch someone else back to emailed links. Raises NotFound."""
    if person.id == by.id or not needs_more_than_email(session, person):
        raise NotFound
    audit.record(session, Kind.LET_IN_ASKED, account=person)
    LetIn(by.public_id, person.public_id).ask(session, sealer)


def needs_more_than_email(session: Session, person: Account) -> bool:
    """Return whether someone signs in with a passkey or the district's account."""
    return has_passkey(session, person) or identity_of(session, person) is not None


def ending(session: Session, by: Account) -> list[Role]:
    """List the rights that an office colleague may renew now, first to end first.

    No one renews their own right to work for the office, unless they are its only colleague.
    """
    is_alone = not has_office_besides(session, by)
    found = [
        role
        for team in list_teams(session)
        for role in team.roles
        if role.ends_soon and (team.group or role.person.id != by.id or is_alone)
    ]
    return sorted(found, key=lambda role: role.ends_at or now())


def renew(session: Session, by: Account, keys: list[str]) -> None:
    """Renew for a year the rights that end soon and have one of these keys (`Role.key`)."""
    ends = now() + RIGHT_AGE
    for role in ending(session, by):
        if role.key not in keys:
            continue
        if role.group is None:
            role.person.office_ends_at = ends
        else:
            session.get_one(GroupLead, (role.person.id, role.group.id)).ends_at = ends
        audit.record(session, Kind.RIGHT_RENEWED, account=role.person, group=role.group)


def end_sessions(session: Session, person: Account) -> None:
    """End all sessions of a person."""
    session.execute(delete(BrowserSession).where(BrowserSession.account_id == person.id))
    audit.record(session, Kind.SESSIONS_ENDED, account=person)


def _require_another(session: Session, person: Account) -> None:
    """Raise LastOfficeAccount unless someone else works for the office.

    Locks all rows, so that another removal waits for this transaction.
    """
    locked = select(Account).where(Account.is_office).order_by(Account.id).with_for_update()
    list(session.scalars(locked.execution_options(populate_existing=True)))
    if not has_office_besides(session, person):
        raise LastOfficeAccount


def _lead_role(leadership: GroupLead, person: Account, group: Group) -> Role:
    return Role(person, group, leadership.since, leadership.accepted_at, leadership.ends_at)


def _office_role(person: Account) -> Role:
    since = person.office_since or now()
    accepted_at = since if person.is_office else None
    return Role(person, None, since, accepted_at, person.office_ends_at)
