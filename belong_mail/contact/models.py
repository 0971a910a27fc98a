"""Messages to the office and to the leads of groups: stored sealed until they have been mailed."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from belong_mail.db import Base, now
from belong_mail.groups.models import Group


class ContactMessage(Base):
    __tablename__ = "contact_messages"

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(unique=True)
    """What the writer is told, such as K7QM-2XRD; it says nothing about them."""
    group_id: Mapped[int | None] = mapped_column(ForeignKey(Group.id, ondelete="SET NULL"))
    """To the leads of a group; None: to the office."""
    sealed: Mapped[bytes]
    received_at: Mapped[datetime] = mapped_column(default=now)
    group: Mapped[Group | None] = relationship()
