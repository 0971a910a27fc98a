"""Hand a group over: its leader's right ends when somebody else has accepted to lead it.

The office asks; the worker invites the successor and writes into the proof of their right whose
place they take.
"""

from dataclasses import asdict, dataclass

from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account
from belong_mail.accounts.people import Role, Team, roles_of
from belong_mail.accounts.service import HAND_OVER, NotFound
from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.encryption import Sealer
from belong_mail.core.i18n import DEFAULT
from belong_mail.core.jobs import seal_job
from belong_mail.groups.models import Group


@dataclass(frozen=True, slots=True)
class Successor:
    """Who takes a group over: an account by its public id, or whoever has an address."""

    account: str = ""
    name: str = ""
    address: str = ""
    language: str = DEFAULT


def find_led(session: Session, person: Account, slug: str) -> Group:
    """Find a group that somebody leads, by an accepted right, or raise NotFound."""
    for role in roles_of(session, person):
        if role.group is not None and role.group.slug == slug and not role.is_pending:
            return role.group
    raise NotFound


def possible_successors(teams: list[Team], group: Group) -> list[Account]:
    """List who could take a group over: they have another role, and do not lead it yet."""
    roles = [role for each in teams for role in each.roles]
    leading = {role.person.id for role in roles if _leads(role, group)}
    others = {
        role.person.id: role.person
        for role in roles
        if role.person.id not in leading and role.person.suspended_at is None
    }
    return sorted(others.values(), key=lambda each: (each.name.casefold(), each.id))


def hand_over(
    session: Session, sealer: Sealer, by: Account, person: Account, group: Group, to: Successor
) -> None:
    """Ask the worker to invite a successor; until they accept, the leader stays."""
    said = {
        "by": by.public_id,
        "from": person.public_id,
        "group": group.public_id,
        "to": asdict(to),
    }
    seal_job(session, sealer, HAND_OVER, said)
    audit.record(session, Kind.HAND_OVER_ASKED, account=person, group=group)


def _leads(role: Role, group: Group) -> bool:
    return role.group is not None and role.group.id == group.id and not role.is_pending
