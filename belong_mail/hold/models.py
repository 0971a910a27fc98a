"""Hosts: who has worked on this database, each named by its state folder."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from belong_mail.db import Base, now


class Host(Base):
    """A state folder that works on this database; its witness has the same name and epoch."""

    __tablename__ = "hosts"

    id: Mapped[int] = mapped_column(primary_key=True)
    folder: Mapped[str] = mapped_column(unique=True)
    epoch: Mapped[int]
    """Grows while a worker works; the witness in the state folder grows with it."""
    held_because: Mapped[str | None]
    """A key of `service.REASONS`; None: it may send."""
    seen_at: Mapped[datetime] = mapped_column(default=now)
