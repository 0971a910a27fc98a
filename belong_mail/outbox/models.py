"""Suppressions: addresses we do not write to."""

from datetime import date

from sqlalchemy.orm import Mapped, mapped_column

from belong_mail.db import Base, now


class Suppression(Base):
    """An address that is left alone, known by a keyed hash; no group and no hour stands here."""

    __tablename__ = "suppressions"

    address_index: Mapped[bytes] = mapped_column(primary_key=True)
    reason: Mapped[str]
    since: Mapped[date] = mapped_column(default=lambda: now().date())
