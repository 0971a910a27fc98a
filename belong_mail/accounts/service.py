"""Rights: who leads a group or works for the office, who is invited, what they may touch."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from belong_mail.accounts.jobs import AcceptRights
from belong_mail.accounts.models import RIGHT_AGE, Account, GroupLead
from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.db import now, required
from belong_mail.core.encryption import Sealer
from belong_mail.core.tokens import BadToken, name_of
from belong_mail.groups.models import Group

# So long before its end the office and its holder are told that a right ends.
ENDS_SOON = timedelta(days=30)
# How an invitation's form names what is no group.
OFFICE = "office"


def is_held() -> ColumnElement[bool]:
    """Select rights to lead that are accepted and have not ended."""
    return and_(GroupLead.accepted_at.is_not(None), has_not_ended())


def has_not_ended() -> ColumnElement[bool]:
    """Select rights, accepted or not, that have neither ended nor been removed.

    A right that the office removes ends; the worker deletes it, for it alone knows which were
    proven.
    """
    return or_(GroupLead.ends_at.is_(None), GroupLead.ends_at > now())


def leads_of(session: Session, group: Group) -> list[Account]:
    """List the leaders of a group, without people who are only invited."""
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
        GroupLead.group_id == group.id, GroupLead.accepted_at.is_(None), has_not_ended()
    )
    return session.scalar(found) or 0


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation of an account, open or accepted: an accepted one can still be found."""

    account: Account
    groups: list[tuple[GroupLead, Group]]
    is_for_office: bool

    @property
    def open_groups(self) -> list[Group]:
        return [group for leadership, group in self.groups if leadership.accepted_at is None]


def find_invitation(session: Session, secret: str) -> Invitation:
    """Find what an invitation's link is about, by its secret, of which the account has a hash.

    Raises BadToken when it is over; one that was accepted is found as long as it is a right.
    """
    named = select(Account).where(Account.invited_as == name_of(secret))
    account = required(session.scalar(named), BadToken)
    found = (
        select(GroupLead, Group)
        .join(Group, Group.id == GroupLead.group_id)
        .where(GroupLead.account_id == account.id, has_not_ended(), Group.retired_at.is_(None))
        .order_by(Group.position)
    )
    groups = [(row[0], row[1]) for row in session.execute(found)]
    if not groups and account.office_since is None:
        raise BadToken
    return Invitation(account, groups, account.is_asked_for_office)


def accept(session: Session, sealer: Sealer, secret: str, only: str = "") -> bool:
    """Accept an invitation, or one thing of it: a group by its public id, or “office”.

    Raises BadToken when it is over; returns False where nothing was left to accept. The worker is
    told, with the link's secret: it counts from then on.
    """
    invitation = find_invitation(session, secret)
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
        AcceptRights(account.public_id, accepted, is_for_office, secret).ask(session, sealer)
    return bool(accepted) or is_for_office


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


def rename(session: Session, person: Account, name: str) -> None:
    """Change what the office and colleagues call somebody."""
    person.name = name
    audit.record(session, Kind.PERSON_RENAMED, account=person)


def set_language(session: Session, account: Account, language: str) -> None:
    """Set the language of emails to a lead."""
    session.get_one(Account, account.id).language = language
