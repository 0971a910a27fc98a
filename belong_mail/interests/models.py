"""Interests: notes to be told once when an upcoming group starts; never memberships."""

from datetime import date

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from belong_mail.db import Base, new_public_id
from belong_mail.groups.models import Group


class Interest(Base):
    """One address's wish to be told when one group starts.

    Without a time, which would link the rows of one person: a day says when it is given up.
    """

    __tablename__ = "interests"
    __table_args__ = (UniqueConstraint("group_id", "address_index"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id, ondelete="CASCADE"))
    group: Mapped[Group] = relationship()
    address_index: Mapped[bytes]
    """HMAC of group and address."""
    wrapped_address: Mapped[bytes]
    """Opens only in this row and for this group."""
    language: Mapped[str]
    kept_until: Mapped[date]
    """The last day; after it the note goes, told or not."""
