"""Tables of messages to the office and to leaders, and of threads."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from belong_mail.core.db import IdBase, now
from belong_mail.groups.models import Group


class ContactMessage(IdBase):
    __tablename__ = "contact_messages"

    # A random code that the writer sees, such as K7QM-2XRD.
    reference: Mapped[str] = mapped_column(unique=True)
    # The group whose leaders it is for; None: the office.
    group_id: Mapped[int | None] = mapped_column(ForeignKey(Group.id, ondelete="SET NULL"))
    sealed: Mapped[bytes]
    received_at: Mapped[datetime] = mapped_column(default=now)
    group: Mapped[Group | None] = relationship()


class Thread(IdBase):
    """A conversation with a writer who has no address, only a code."""

    __tablename__ = "threads"

    # The reference of its first message.
    reference: Mapped[str] = mapped_column(unique=True)
    # X25519 public key; its private key is derived from the code, which is stored nowhere.
    receipt_key: Mapped[bytes] = mapped_column(unique=True)
    # Its topic, from the form's list.
    topic: Mapped[str]
    last_at: Mapped[datetime] = mapped_column(default=now)


class ThreadEntry(IdBase):
    """A message by the writer or the office, sealed to the thread's key."""

    __tablename__ = "thread_entries"

    thread_id: Mapped[int] = mapped_column(ForeignKey(Thread.id, ondelete="CASCADE"), index=True)
    is_office: Mapped[bool]
    sealed: Mapped[bytes]
    written_at: Mapped[datetime] = mapped_column(default=now)
