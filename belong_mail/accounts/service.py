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
from belong_mail.core.tokens import BadToken, link_hash
from belong_mail.groups.models import Group

# How long before a right ends the office and its holder are told.
ENDS_SOON = timedelta(days=30)
# The office's name in an invitation's form, beside those of groups.
OFFICE = "office"


def is_held() -> ColumnElement[bool]:
    """Match rights to lead that are accepted and have not ended."""
    return and_(GroupLead.accepted_at.is_not(None), has_not_ended())


def has_not_ended() -> ColumnElement[bool]:
    """Match rights, accepted or not, that have neither ended nor been removed.

    The office ends a right; the worker deletes it, because only it knows which were proven.
    """
    return or_(GroupLead.ends_at.is_(None), GroupLead.ends_at > now())


def leads_of(session: Session, group: Group) -> list[Account]:
    """List the leaders of a group, without people who are only invited."""
    found = select(Account).join(GroupLead).where(GroupLead.group_id == group.id, is_held())
    return list(session.scalars(found.order_by(Account.id)))


class NotFound(Exception):
    """There is no such thing for this account: it is another group's, or does not exist."""


def groups_led_by(account: Account) -> Select[int]:
    """Select the ids of the groups an account leads: every query for a lead goes through here."""
    return select(GroupLead.group_id).where(GroupLead.account_id == account.id, is_held())


def has_office_right(session: Session, account: Account) -> bool:
    """Return whether an account works for the office, by a right that has not ended.

    The right of the last colleague does not end: no one would be left to renew it.
    """
    if not account.is_office:
        return False
    if account.office_ends_at is None or account.office_ends_at > now():
        return True
    return not has_office_besides(session, account)


def has_office_besides(session: Session, account: Account) -> bool:
    """Return whether someone else works for the office, by a right that has not ended."""
    others = select(Account.id).where(
        Account.is_office,
        or_(Account.office_ends_at.is_(None), Account.office_ends_at > now()),
        Account.id != account.id,
    )
    return session.scalar(others.limit(1)) is not None


def may_sign_in(session: Session, account: Account) -> bool:
    """Return whether an account works for the office or leads a group."""
    return has_office_right(session, account) or leads_any(session, account)


def leads_any(session: Session, account: Account) -> bool:
    return session.scalar(groups_led_by(account).limit(1)) is not None


def count_pending_invitations(session: Session, group: Group) -> int:
    """Count the people invited to lead a group who have not accepted."""
    found = select(func.count()).where(
        GroupLead.group_id == group.id, GroupLead.accepted_at.is_(None), has_not_ended()
    )
    return session.scalar(found) or 0


@dataclass(frozen=True, slots=True)
class Invitation:
    """An account's invitation, open or accepted."""

    account: Account
    groups: list[tuple[GroupLead, Group]]
    is_for_office: bool

    @property
    def open_groups(self) -> list[Group]:
        return [group for leadership, group in self.groups if leadership.accepted_at is None]


def find_invitation(session: Session, secret: str) -> Invitation:
    """Find an invitation by the secret of its link, of which the account has a hash.

    Raises BadToken if it is over; an accepted one is found as long as the right lasts.
    """
    named = select(Account).where(Account.invited_as == link_hash(secret))
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
    """Accept an invitation, or one part of it: a group by its public id, or “office”.

    Raises BadToken if it is over; returns False if nothing was left to accept. The worker gets the
    link's secret, and starts the waiting time.
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
    """Return the (name, end) of each group whose lead an account will not be for much longer."""
    found = (
        select(Group.name, GroupLead.ends_at)
        .join(GroupLead, GroupLead.group_id == Group.id)
        .where(GroupLead.account_id == account.id, is_held(), Group.retired_at.is_(None))
        .where(GroupLead.ends_at < now() + ENDS_SOON)
        .order_by(Group.position)
    )
    return [(name, ends_at) for name, ends_at in session.execute(found) if ends_at is not None]


def group_for_lead(session: Session, account: Account, slug: str) -> Group:
    """Find a group that an account leads. Raises NotFound."""
    found = select(Group).where(
        Group.slug == slug, Group.id.in_(groups_led_by(account)), Group.retired_at.is_(None)
    )
    return required(session.scalar(found), NotFound)


def rename(session: Session, person: Account, name: str, *, by: Account | None = None) -> None:
    """Change the name that the office and colleagues see; `by` is for someone not signed in yet."""
    person.name = name
    audit.record(session, Kind.PERSON_RENAMED, actor=by, account=person)


def set_language(session: Session, account: Account, language: str) -> None:
    """Set the language of an account's emails."""
    session.get_one(Account, account.id).language = language
