"""The office's actions on leaders and office staff: list, invite, renew, remove.

The office types people's names, as the web cannot decrypt addresses. Rights are taken away at once;
giving one is a sealed job, for which the worker checks who asks.
"""

from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session, contains_eager, undefer

from belong_mail.accounts.jobs import EndRight, InviteAgain, InviteColleague, LetIn, RestoreRight
from belong_mail.accounts.models import (
    RIGHT_AGE,
    UNDO_STOP,
    Account,
    BrowserSession,
    Right,
)
from belong_mail.accounts.service import (
    HAS_NOT_ENDED,
    IS_HELD,
    LEADS,
    NotFound,
    find_right,
    has_office_besides,
    rights_of,
)
from belong_mail.accounts.signing_in import has_passkey, identity_of
from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.db import CLOCKS_DIFFER, ago, lock_for_change, now, required
from belong_mail.core.encryption import Sealer
from belong_mail.groups.models import Group

# With fewer leaders, a group depends on a single person.
ENOUGH_LEADS = 2
# How long before its end a right can be renewed.
RENEW_WITHIN = timedelta(days=60)
_LED = select(func.count(Right.id)).where(Right.group_id == Group.id, LEADS).scalar_subquery()
# Groups with fewer leaders, in the directory's order.
SHORT_OF_LEADERS = (
    select(Group.slug, Group.name)
    .where(Group.retired_at.is_(None), _LED < ENOUGH_LEADS)
    .order_by(Group.position)
)
_ROLES = (
    select(Right)
    .join(Right.person)
    .options(contains_eager(Right.person), undefer(Right.is_undelivered))
    .where(HAS_NOT_ENDED)
    .order_by(Account.name, Account.id)
)
_ENDING = (
    select(Right)
    .outerjoin(Right.group)
    .where(IS_HELD, Right.ends_at < ago(-RENEW_WITHIN), Group.retired_at.is_(None))
    .order_by(Right.ends_at)
)
_GROUPS = select(Group).where(Group.retired_at.is_(None)).order_by(Group.position)
# Open invitations that could not be delivered, by their person's name.
UNDELIVERED = (
    select(Right)
    .join(Right.person)
    .outerjoin(Right.group)
    .where(Right.accepted_at.is_(None), Right.ends_at.is_(None), Group.retired_at.is_(None))
    .where(Right.is_undelivered.is_(True))
    .order_by(Account.name, Account.id)
)


class LastOfficeAccount(Exception):
    """The removal would leave no one who works for the office."""


def list_teams(session: Session) -> dict[Group, list[Right]]:
    """Return the roles of leaders of each group that is not retired, in the directory's order."""
    by_group: dict[int | None, list[Right]] = {}
    for right in session.scalars(_ROLES):
        by_group.setdefault(right.group_id, []).append(right)
    return {group: by_group.get(group.id, []) for group in session.scalars(_GROUPS)}


def team_of(session: Session, group: Group | None) -> list[Right]:
    """Return the roles of the leaders of a group; without one, the people of the office."""
    place = Right.group_id == (group.id if group else None)
    return list(session.scalars(_ROLES.where(place)))


def find_account(session: Session, public_id: str) -> Account:
    """Find a person who has or had a right or an invitation. Raises NotFound."""
    found = session.scalar(select(Account).where(Account.public_id == public_id))
    return required(found, NotFound)


def find_person(session: Session, public_id: str) -> Account:
    """Find a person who has a right or an invitation. Raises NotFound."""
    person = find_account(session, public_id)
    if not rights_of(session, person):
        raise NotFound
    return person


def invite(session: Session, sealer: Sealer, asked: InviteColleague) -> None:
    """Queue an invitation; only the worker can tell whether the address has an account."""
    asked.ask(session, sealer)
    audit.record(session, Kind.INVITATION_ASKED)


def invite_again(session: Session, sealer: Sealer, by: Account, person: Account) -> None:
    """Queue a job that emails someone's open invitations again."""
    InviteAgain(by.public_id, person.public_id).ask(session, sealer)
    audit.record(session, Kind.INVITED_AGAIN, account=person)


def withdraw(session: Session, person: Account) -> None:
    """Withdraw a person's open invitations, so that no link accepts them."""
    pending = update(Right).where(Right.account_id == person.id, Right.accepted_at.is_(None))
    ended = now() - CLOCKS_DIFFER
    session.execute(pending.where(Right.ends_at.is_(None)).values(ends_at=ended))
    audit.record(session, Kind.INVITATION_WITHDRAWN, account=person)


def remove(
    session: Session, sealer: Sealer, by: Account, person: Account, slug: str | None
) -> None:
    """End someone's right and all their sessions. Raises as `end_right`."""
    end_right(session, sealer, by, person, slug)
    end_sessions(session, person)


def end_right(
    session: Session, sealer: Sealer, by: Account, person: Account, slug: str | None
) -> None:
    """End a right of someone or of oneself; without a slug, the right to work for the office.

    The worker notifies the people concerned, and deletes passkeys of accounts without rights.
    Raises NotFound and LastOfficeAccount.
    """
    group = None
    if slug is None:
        _require_another(session, person)
    else:
        group = required(session.scalar(select(Group).where(Group.slug == slug)), NotFound)
    right = required(find_right(session, person, group), NotFound)
    if right.is_over and right.is_pending:  # ended before; the office's last ones are still found
        raise NotFound
    is_own = group is not None and by.id == person.id
    # Without `accepted_at`, even the office's last right stays ended. A removal's end is past by
    # all clocks: otherwise the worker would restore the acceptance.
    end = now() + UNDO_STOP if is_own else now() - CLOCKS_DIFFER
    right.accepted_at, right.ends_at = None, end
    session.flush()
    by_group = Kind.LEAD_STOPPED if by.id == person.id else Kind.LEAD_REMOVED
    kind = by_group if group else Kind.OFFICE_REMOVED
    audit.record(session, kind, account=person, group=group)
    EndRight(by.public_id, person.public_id, right.place).ask(session, sealer)


def restore(session: Session, sealer: Sealer, by: Account, person: Account, slug: str) -> None:
    """Queue a job that undoes a leader's own stop. Raises NotFound if it is too late."""
    group = required(session.scalar(select(Group).where(Group.slug == slug)), NotFound)
    right = required(find_right(session, person, group), NotFound)
    if not right.has_stopped or right.is_over:
        raise NotFound
    audit.record(session, Kind.UNDO_STOP_ASKED, account=person, group=group)
    RestoreRight(by.public_id, person.public_id, right.place).ask(session, sealer)


def let_in(session: Session, sealer: Sealer, by: Account, person: Account) -> None:
    """Queue a job that returns someone else to emailed links. Raises NotFound."""
    if person.id == by.id or not needs_more_than_email(session, person):
        raise NotFound
    audit.record(session, Kind.LET_IN_ASKED, account=person)
    LetIn(by.public_id, person.public_id).ask(session, sealer)


def needs_more_than_email(session: Session, person: Account) -> bool:
    """Return whether someone signs in with a passkey or a district identity."""
    return has_passkey(session, person) or identity_of(session, person) is not None


def ending(session: Session, by: Account) -> list[Right]:
    """List the rights that this person may renew now, by their end; lock them unless read-only.

    No one renews their own right to work for the office, unless they are the only one. The lock
    keeps a renewal from undoing a removal that it did not see.
    """
    found = list(session.scalars(lock_for_change(session, _ENDING)))
    if not found or not has_office_besides(session, by):
        return found
    return [each for each in found if each.group_id is not None or each.account_id != by.id]


def renew(session: Session, by: Account, keys: list[str]) -> None:
    """Renew for a year the rights that end soon and have one of these keys (`Right.key`)."""
    ends = now() + RIGHT_AGE
    for right in ending(session, by):
        if right.key in keys:
            right.ends_at = ends
            audit.record(session, Kind.RIGHT_RENEWED, account=right.person, group=right.group)


def end_sessions(session: Session, person: Account, *which: ColumnElement[bool]) -> None:
    """End a person's sessions: all, or those that meet the given conditions."""
    session.execute(delete(BrowserSession).where(BrowserSession.account_id == person.id, *which))
    audit.record(session, Kind.SESSIONS_ENDED, account=person)


def _require_another(session: Session, person: Account) -> None:
    """Raise LastOfficeAccount unless someone else works for the office.

    Locks all rows, so that another removal waits for this transaction.
    """
    locked = select(Right).where(Right.group_id.is_(None)).order_by(Right.id).with_for_update()
    list(session.scalars(locked.execution_options(populate_existing=True)))
    if not has_office_besides(session, person):
        raise LastOfficeAccount
