"""Mailboxes that wait to be confirmed."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from belong_mail.db import Base, new_public_id, now
from belong_mail.groups.models import Group


class MailboxProposal(Base):
    """A mailbox that a lead named for a group; until it is confirmed, the old one stays."""

    __tablename__ = "mailbox_proposals"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id, ondelete="CASCADE"), unique=True)
    wrapped: Mapped[bytes]
    """The address, and hashes of the secrets that are still to come back; the worker's alone."""
    created_at: Mapped[datetime] = mapped_column(default=now)
