"""The office's verbs for leads and colleagues: list, invite, renew, remove.

The office types people's names, because the web cannot open an address. A verb that takes a right
away acts at once; one that gives a right is sealed for the worker, which checks who asks.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session, contains_eager

from belong_mail.accounts.jobs import EndRight, InviteAgain, InviteColleague, LetIn
from belong_mail.accounts.models import CLOCKS_DIFFER, RIGHT_AGE, Account, BrowserSession, Right
from belong_mail.accounts.service import (
    NotFound,
    find_right,
    has_not_ended,
    has_office_besides,
    is_held,
    rights_of,
)
from belong_mail.accounts.signing_in import has_passkey, identity_of
from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.db import lock_for_change, now, required
from belong_mail.core.encryption import Sealer
from belong_mail.groups.models import Group

# With fewer leads, a group stands still when one of them is away.
ENOUGH_LEADS = 2
# How long before its end the office may renew a right.
RENEW_WITHIN = timedelta(days=60)


class LastOfficeAccount(Exception):
    """The removal would leave no one to work for the office."""


@dataclass(frozen=True, slots=True)
class Team:
    """The leaders of a group, or the people of the office if there is no group."""

    group: Group | None
    roles: list[Right]

    @property
    def has_too_few(self) -> bool:
        return sum(each.counts for each in self.roles) < ENOUGH_LEADS


def list_teams(session: Session) -> list[Team]:
    """List the leaders of each group, and last the people of the office."""
    found = (
        select(Right)
        .join(Right.person)
        .options(contains_eager(Right.person))
        .where(has_not_ended())
        .order_by(Account.name, Account.id)
    )
    by_group: dict[int | None, list[Right]] = {}
    for right in session.scalars(found):
        by_group.setdefault(right.group_id, []).append(right)
    groups = select(Group).where(Group.retired_at.is_(None)).order_by(Group.position)
    listed = [Team(group, by_group.get(group.id, [])) for group in session.scalars(groups)]
    return [*listed, Team(None, by_group.get(None, []))]


def find_person(session: Session, public_id: str) -> Account:
    """Find a person who has a right or is invited to one. Raises NotFound."""
    person = session.scalar(select(Account).where(Account.public_id == public_id))
    if person is None or not rights_of(session, person):
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
    pending = update(Right).where(Right.account_id == person.id, Right.accepted_at.is_(None))
    ended = now() - CLOCKS_DIFFER
    session.execute(pending.where(has_not_ended()).values(ends_at=ended))
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
    """End a right, someone's or one's own; without a slug, to work for the office.

    The worker tells those concerned, and deletes the passkeys of people without any right. Raises
    NotFound, LastOfficeAccount.
    """
    group = None
    if slug is None:
        _require_another(session, person)
    else:
        group = required(session.scalar(select(Group).where(Group.slug == slug)), NotFound)
    right = required(find_right(session, person, group), NotFound)
    if right.is_over and right.is_pending:  # was ended before; of the office, the last ones stay
        raise NotFound
    # Without its acceptance, it stays ended even if it becomes the last of the office. By a clock
    # that is behind, it has ended too: else the worker would put the acceptance back.
    right.accepted_at, right.ends_at = None, now() - CLOCKS_DIFFER
    session.flush()
    kind = Kind.LEAD_REMOVED if group else Kind.OFFICE_REMOVED
    audit.record(session, kind, account=person, group=group)
    EndRight(by.public_id, person.public_id, right.place).ask(session, sealer)


def let_in(session: Session, sealer: Sealer, by: Account, person: Account) -> None:
    """Ask the worker to switch someone else back to emailed links. Raises NotFound."""
    if person.id == by.id or not needs_more_than_email(session, person):
        raise NotFound
    audit.record(session, Kind.LET_IN_ASKED, account=person)
    LetIn(by.public_id, person.public_id).ask(session, sealer)


def needs_more_than_email(session: Session, person: Account) -> bool:
    """Return whether someone signs in with a passkey or the district's account."""
    return has_passkey(session, person) or identity_of(session, person) is not None


def ending(session: Session, by: Account) -> list[Right]:
    """List the rights that an office colleague may renew now, first to end first.

    No one renews their own right to work for the office, unless they are its only colleague. Where
    they may change, they are locked: else a renewal would undo a removal that it did not see.
    """
    found = (
        select(Right)
        .outerjoin(Right.group)
        .where(is_held(), Right.ends_at < now() + RENEW_WITHIN, Group.retired_at.is_(None))
        .order_by(Right.ends_at)
    )
    if has_office_besides(session, by):
        found = found.where(or_(Right.group_id.is_not(None), Right.account_id != by.id))
    return list(session.scalars(lock_for_change(session, found)))


def renew(session: Session, by: Account, keys: list[str]) -> None:
    """Renew for a year the rights that end soon and have one of these keys (`Right.key`)."""
    ends = now() + RIGHT_AGE
    for right in ending(session, by):
        if right.key in keys:
            right.ends_at = ends
            audit.record(session, Kind.RIGHT_RENEWED, account=right.person, group=right.group)


def end_sessions(session: Session, person: Account) -> None:
    """End all sessions of a person."""
    session.execute(delete(BrowserSession).where(BrowserSession.account_id == person.id))
    audit.record(session, Kind.SESSIONS_ENDED, account=person)


def _require_another(session: Session, person: Account) -> None:
    """Raise LastOfficeAccount unless someone else works for the office.

    Locks all rows, so that another removal waits for this transaction.
    """
    locked = select(Right).where(Right.group_id.is_(None)).order_by(Right.id).with_for_update()
    list(session.scalars(locked.execution_options(populate_existing=True)))
    if not has_office_besides(session, person):
        raise LastOfficeAccount
