"""One address that the office types: taken out of a group, barred from it, or let in again.

The web seals it and answers alike whether it is known or not; the worker alone can tell.
"""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, Session, mapped_column

from belong_mail.core import audit, rate_limits
from belong_mail.core.audit import Kind
from belong_mail.core.db import Base, now
from belong_mail.core.encryption import Sealer
from belong_mail.core.jobs import seal_job
from belong_mail.core.rate_limits import REMOVAL_RATE
from belong_mail.groups.models import Group

JOB = "office-removal"
REMOVE, BAR, LET_IN = "remove", "bar", "let-in"
RECORDED = {REMOVE: Kind.ADDRESS_REMOVED, BAR: Kind.ADDRESS_BARRED, LET_IN: Kind.ADDRESS_LET_IN}
ASKED = b"office/removals"


class TooManyRemovals(Exception):
    """The office has typed as many addresses as anybody means in a day."""


class BarredAddress(Base):
    """An address that cannot join a group, known by a keyed hash of both; the worker's alone."""

    __tablename__ = "barred_addresses"

    group_id: Mapped[int] = mapped_column(
        ForeignKey(Group.id, ondelete="CASCADE"), primary_key=True
    )
    address_index: Mapped[bytes] = mapped_column(primary_key=True)


def ask_to_remove(session: Session, sealer: Sealer, group: Group, address: str, what: str) -> None:
    """Write down, sealed, what is to be done with an address; raise TooManyRemovals.

    The trail keeps for which group, and not which address.
    """
    if rate_limits.try_use(session, ASKED, REMOVAL_RATE, now()) is None:
        raise TooManyRemovals
    audit.record(session, RECORDED[what], group=group)
    wanted = {"group": group.public_id, "address": address, "what": what}
    seal_job(session, sealer, JOB, wanted)
