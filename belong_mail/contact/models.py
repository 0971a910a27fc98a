"""Messages to the office and to leads, sealed until they are emailed; threads with a code."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from belong_mail.core.db import IdBase, now
from belong_mail.groups.models import Group


class ContactMessage(IdBase):
    __tablename__ = "contact_messages"

    # A reference for the writer, such as K7QM-2XRD; it says nothing about them.
    reference: Mapped[str] = mapped_column(unique=True)
    # The group whose leads it is for; None: the office.
    group_id: Mapped[int | None] = mapped_column(ForeignKey(Group.id, ondelete="SET NULL"))
    sealed: Mapped[bytes]
    received_at: Mapped[datetime] = mapped_column(default=now)
    group: Mapped[Group | None] = relationship()
    # Its conversation, if its writer gave no address.
    thread_id: Mapped[int | None] = mapped_column(ForeignKey("threads.id", ondelete="SET NULL"))
    thread: Mapped["Thread | None"] = relationship()


class Thread(IdBase):
    """A conversation with someone who is known only by a code."""

    __tablename__ = "threads"

    # The reference of its first message.
    reference: Mapped[str] = mapped_column(unique=True)
    # X25519 public key; the private key is derived from the code, which is not stored.
    receipt_key: Mapped[bytes] = mapped_column(unique=True)
    # Its topic, from the form's list.
    topic: Mapped[str]
    last_at: Mapped[datetime] = mapped_column(default=now)


class ThreadEntry(IdBase):
    """Words of the writer or the office, sealed so that only the thread's code opens them."""

    __tablename__ = "thread_entries"

    thread_id: Mapped[int] = mapped_column(ForeignKey(Thread.id, ondelete="CASCADE"), index=True)
    is_office: Mapped[bool]
    sealed: Mapped[bytes]
    written_at: Mapped[datetime] = mapped_column(default=now)
