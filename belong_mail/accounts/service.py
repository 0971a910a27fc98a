"""Finding leads, and the one place that says what a lead may touch."""

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account, Leadership
from belong_mail.groups.models import Group


def leads_of(session: Session, group: Group) -> list[Account]:
    """List who leads a group."""
    found = select(Account).join(Leadership).where(Leadership.group_id == group.id)
    return list(session.scalars(found.order_by(Account.id)))


class NotYours(Exception):
    """There is no such thing for this account: it may be another group's, or nobody's."""


def led_by(account: Account) -> Select[int]:
    """Select the ids of the groups an account leads: every query for a lead goes through here."""
    return select(Leadership.group_id).where(Leadership.account_id == account.id)


def groups_of(session: Session, account: Account) -> list[Group]:
    """List the groups an account leads, in the directory's order."""
    found = select(Group).where(Group.id.in_(led_by(account)), Group.retired_at.is_(None))
    return list(session.scalars(found.order_by(Group.position)))


def led_group(session: Session, account: Account, slug: str) -> Group:
    """Find a group that an account leads, or raise NotYours."""
    found = select(Group).where(
        Group.slug == slug, Group.id.in_(led_by(account)), Group.retired_at.is_(None)
    )
    group = session.scalar(found)
    if group is None:
        raise NotYours
    return group


def speak(session: Session, account: Account, language: str) -> None:
    """Write to a lead in this language from now on."""
    session.get_one(Account, account.id).language = language
