"""Sheets and address changes: short-lived, and closed to whoever has only the database."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from belong_mail.db import Base, new_public_id, now


class Sheet(Base):
    """One person's memberships, for half an hour; the mailed link's secret opens the list."""

    __tablename__ = "sheets"

    id: Mapped[int] = mapped_column(primary_key=True)
    secret_hash: Mapped[bytes] = mapped_column(unique=True)
    """SHA-256 of the secret in the link."""
    locked: Mapped[bytes]
    """The subscriptions' public ids, AES-256-GCM under a key derived from the secret."""
    expires_at: Mapped[datetime]


class AddressChange(Base):
    """A new address that waits to be confirmed from its own mailbox."""

    __tablename__ = "address_changes"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    wrapped: Mapped[bytes]
    """The new address and the subscriptions it is for; the worker alone opens it."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    confirmed_at: Mapped[datetime | None]
