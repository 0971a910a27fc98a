"""Rights: who leads a group or works for the office, who is invited, and what leaders may open."""

from datetime import timedelta

from sqlalchemy import ColumnElement, and_, bindparam, exists, or_, select
from sqlalchemy.orm import Session, aliased, contains_eager

from belong_mail.accounts.jobs import AcceptRights
from belong_mail.accounts.models import RIGHT_AGE, Account, Right
from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.db import NOW, lock_for_change, now, required
from belong_mail.core.encryption import Sealer
from belong_mail.core.tokens import BadToken, link_hash
from belong_mail.groups.models import Group

# How long before its end a right is announced to the office.
ENDS_SOON = timedelta(days=30)
_OTHER = aliased(Right)


def find_right(session: Session, account: Account, group: Group | None) -> Right | None:
    """Find a right, held or not, to lead a group or, without one, to work for the office."""
    return session.scalar(select(Right).where(_is_of(account, group)))


def _is_of(account: Account, group: Group | None) -> ColumnElement[bool]:
    return and_(Right.account_id == account.id, Right.group_id == (group.id if group else None))


def _has_time_left(right: type[Right]) -> ColumnElement[bool]:
    return or_(right.ends_at.is_(None), right.ends_at > NOW)


# Rights, accepted or not, that have neither ended nor been removed. The office sets a right's end;
# the worker deletes it, as it alone knows the proofs. The last rights to work for the office do not
# end, as no one could renew them.
HAS_NOT_ENDED = or_(
    _has_time_left(Right),
    and_(
        Right.group_id.is_(None),
        Right.accepted_at.is_not(None),
        ~exists().where(
            _OTHER.group_id.is_(None), _OTHER.accepted_at.is_not(None), _has_time_left(_OTHER)
        ),
    ),
)
# Rights that are accepted and have not ended.
IS_HELD = and_(Right.accepted_at.is_not(None), HAS_NOT_ENDED)
# Held rights to lead a group; unlike the office's, they end without exception.
LEADS = and_(Right.group_id.is_not(None), Right.accepted_at.is_not(None), _has_time_left(Right))
# The ids of groups that an account leads; every query for a leader uses this.
GROUPS_LED = select(Right.group_id).where(Right.account_id == bindparam("account_id"), LEADS)
LED = (
    select(Group)
    .where(Group.id.in_(GROUPS_LED), Group.retired_at.is_(None))
    .order_by(Group.position)
)
LED_BY_SLUG = LED.where(Group.slug == bindparam("slug"))
LEADERS = (
    select(Account)
    .join(Right)
    .where(Right.group_id == bindparam("group_id"), LEADS)
    .order_by(Account.id)
)


def leads_of(session: Session, group: Group) -> list[Account]:
    """List the leaders of a group, without those only invited."""
    return list(session.scalars(LEADERS, {"group_id": group.id}))


class NotFound(Exception):
    """The object does not exist, or belongs to another group."""


def has_right(session: Session, account: Account, group: Group | None) -> bool:
    """Return whether an account leads a group or, without one, works for the office."""
    held = select(Right.id).where(_is_of(account, group), IS_HELD)
    return session.scalar(held) is not None


def has_office_besides(session: Session, account: Account) -> bool:
    """Return whether someone else works for the office."""
    others = select(Right.id).where(
        Right.group_id.is_(None), Right.account_id != account.id, IS_HELD
    )
    return session.scalar(others.limit(1)) is not None


def may_sign_in(session: Session, account: Account) -> bool:
    """Return whether an account works for the office or leads a group."""
    held = select(Right.id).where(Right.account_id == account.id, IS_HELD)
    return session.scalar(held.limit(1)) is not None


def find_invitation(session: Session, secret: str) -> list[Right]:
    """Find what an account is invited to or has accepted, by the secret of its link.

    Raises BadToken if nothing is left; accepted rights are found as long as they last.
    """
    named = select(Account).where(Account.invited_as == link_hash(secret))
    account = required(session.scalar(named), BadToken)
    rights = [each for each in rights_of(session, account) if not each.has_stopped]
    return required(rights or None, BadToken)


def rights_of(session: Session, account: Account) -> list[Right]:
    """List the rights that an account has or is invited to, the one for the office last.

    Locks them unless read-only, so that accepting one sees its withdrawal.
    """
    found = (
        select(Right)
        .outerjoin(Right.group)
        .options(contains_eager(Right.group))
        .where(Right.account_id == account.id, HAS_NOT_ENDED, Group.retired_at.is_(None))
        .order_by(Right.group_id.is_(None), Group.position)
    )
    return list(session.scalars(lock_for_change(session, found)))


def accept(session: Session, sealer: Sealer, secret: str, only: str = "") -> bool:
    """Accept an invitation or one part of it (`Right.place`); return False if nothing was left.

    Raises BadToken if there is no invitation. The worker gets the link's secret, and starts the
    waiting time.
    """
    rights, at = find_invitation(session, secret), now()
    account, accepted = rights[0].person, []
    for right in rights:
        if right.is_pending and only in ("", right.place):
            right.accepted_at, right.ends_at = at, at + RIGHT_AGE
            accepted.append(right.place)
            kind = Kind.LEAD_ACCEPTED if right.group else Kind.OFFICE_ACCEPTED
            audit.record(session, kind, actor=account, group=right.group)
    if accepted:
        AcceptRights(account.public_id, accepted, secret).ask(session, sealer)
    return bool(accepted)


def groups_of(session: Session, account: Account) -> list[Group]:
    """List the groups an account leads, in the directory's order."""
    return list(session.scalars(LED, {"account_id": account.id}))


def group_for_lead(session: Session, account: Account, slug: str) -> Group:
    """Find a group that an account leads. Raises NotFound."""
    found = session.scalar(LED_BY_SLUG, {"account_id": account.id, "slug": slug})
    return required(found, NotFound)


def rename(session: Session, person: Account, name: str, *, by: Account | None = None) -> None:
    """Change a person's name; `by` is the actor if no one is signed in yet."""
    person.name = name
    audit.record(session, Kind.PERSON_RENAMED, actor=by, account=person)


def set_language(session: Session, account: Account, language: str) -> None:
    session.get_one(Account, account.id).language = language
