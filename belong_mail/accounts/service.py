"""Finding leads."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account, Leadership
from belong_mail.groups.models import Group


def leads_of(session: Session, group: Group) -> list[Account]:
    """List who leads a group."""
    found = select(Account).join(Leadership).where(Leadership.group_id == group.id)
    return list(session.scalars(found.order_by(Account.id)))
