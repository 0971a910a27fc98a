"""Messages to the office: stored sealed until they have been mailed."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from belong_mail.db import Base, now


class ContactMessage(Base):
    __tablename__ = "contact_messages"

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(unique=True)
    """What the writer is told, such as K7QM-2XRD; it says nothing about them."""
    sealed: Mapped[bytes]
    received_at: Mapped[datetime] = mapped_column(default=now)
