"""Newsletters, their pictures, and the finished bytes of an issue."""

import re
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from belong_mail.db import Base, new_public_id, now
from belong_mail.groups.models import Group

MARKS = re.compile(r"([\\`*_\[\]<>&!{}~])")
"""What has a meaning in Markdown, or holds a placeholder."""


class Newsletter(Base):
    """One issue, of one group; what happened is kept as times."""

    __tablename__ = "newsletters"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id), index=True)
    group: Mapped[Group] = relationship()
    subject: Mapped[str]
    text: Mapped[str]
    """Markdown."""
    subject_es: Mapped[str] = mapped_column(default="")
    text_es: Mapped[str] = mapped_column(default="")
    """The Spanish version; where it is empty, all members get the words above."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    changed_at: Mapped[datetime] = mapped_column(default=now)
    due_at: Mapped[datetime | None] = mapped_column(index=True)
    """When it is to be queued; a draft has none."""
    queued_at: Mapped[datetime | None]
    """Who had confirmed by then gets it."""
    paused_at: Mapped[datetime | None]
    is_refused: Mapped[bool] = mapped_column(default=False)
    """It paused by itself: servers refuse it for what it says, or for how we send."""
    stopped_at: Mapped[datetime | None]
    """Stopped for good: what has not left stays here."""
    held_at: Mapped[datetime | None]
    """Its time passed while we were down: the lead is asked."""
    images: Mapped[list["Image"]] = relationship(
        order_by="Image.id", cascade="all, delete-orphan", passive_deletes=True
    )


class Image(Base):
    """A picture that travels inside an issue: re-encoded, without metadata."""

    __tablename__ = "images"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    newsletter_id: Mapped[int] = mapped_column(
        ForeignKey(Newsletter.id, ondelete="CASCADE"), index=True
    )
    description: Mapped[str]
    """For people who cannot see it, as the lead gave it; the text may say it otherwise."""
    media_type: Mapped[str]
    content: Mapped[bytes] = mapped_column(deferred=True)
    width: Mapped[int]
    height: Mapped[int]

    @property
    def source(self) -> str:
        """What shows the picture in a text."""
        words = MARKS.sub(r"\\\1", self.description)
        return f"![{words}](picture:{self.public_id})"


class Frozen(Base):
    """An issue as it goes out in one language of the footer: every worker sends these bytes."""

    __tablename__ = "frozen_issues"

    newsletter_id: Mapped[int] = mapped_column(
        ForeignKey(Newsletter.id, ondelete="CASCADE"), primary_key=True
    )
    language: Mapped[str] = mapped_column(primary_key=True)
    wire: Mapped[bytes]
