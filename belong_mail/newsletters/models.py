"""Newsletters, their pictures and flyers, and the finished bytes of an issue."""

import re
from datetime import datetime

from sqlalchemy import ForeignKey, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from belong_mail.accounts.models import Account
from belong_mail.core.db import Base, PublicIdBase, TextByLanguage, now
from belong_mail.core.i18n import DEFAULT, LocalizedText
from belong_mail.groups.models import Group

# Characters that have a meaning in Markdown, or hold a placeholder.
MARKDOWN_MARKS = re.compile(r"([\\`*_\[\]<>&!{}~])")


class Newsletter(PublicIdBase):
    """One issue of one group; events are kept as times."""

    __tablename__ = "newsletters"
    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id), index=True)
    group: Mapped[Group] = relationship()
    subject: Mapped[LocalizedText] = mapped_column(TextByLanguage, default=dict)
    # Lists of messages show it after the subject; where it is empty we write some words.
    preheader: Mapped[LocalizedText] = mapped_column(
        TextByLanguage, default=dict, server_default="{}"
    )
    # Markdown. Where a language has no text, its readers get the default's subject and text.
    text: Mapped[LocalizedText] = mapped_column(TextByLanguage, default=dict)
    # When the rows of its copies were gone, and `issue_counts` had their numbers.
    counted_at: Mapped[datetime | None]
    # Its group's drafts may start from it; it never goes out itself.
    is_template: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(default=now)
    changed_at: Mapped[datetime] = mapped_column(default=now)
    # When it is to be queued; a draft has none.
    due_at: Mapped[datetime | None] = mapped_column(index=True)
    # The account that released it; none for a command, or once that account is gone.
    released_by: Mapped[int | None] = mapped_column(
        ForeignKey(Account.id, ondelete="SET NULL"), index=True
    )
    # People who had confirmed by then get it.
    queued_at: Mapped[datetime | None]
    # When nothing of it waited any more.
    ended_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    # It paused by itself: servers refuse it for what it says, or for how we send.
    is_refused: Mapped[bool] = mapped_column(default=False)
    # It paused by itself: no mail could leave for an hour.
    is_late: Mapped[bool] = mapped_column(default=False)
    # When a lead last let it go on.
    resumed_at: Mapped[datetime | None]
    # Stopped for good: copies that have not left stay here.
    stopped_at: Mapped[datetime | None]
    # Its time passed while we were down: the lead is asked.
    held_at: Mapped[datetime | None]
    images: Mapped[list["Image"]] = relationship(
        order_by="Image.id", cascade="all, delete-orphan", passive_deletes=True
    )

    flyers: Mapped[list["Flyer"]] = relationship(
        order_by="Flyer.id", cascade="all, delete-orphan", passive_deletes=True
    )

    approval: Mapped["Approval | None"] = relationship(viewonly=True)

    @property
    def default_subject(self) -> str:
        """Return the subject by which leads know the issue, whatever their language."""
        return self.subject.get(DEFAULT, "")


class Image(PublicIdBase):
    """A picture that travels inside an issue: re-encoded, without metadata."""

    __tablename__ = "images"

    newsletter_id: Mapped[int] = mapped_column(
        ForeignKey(Newsletter.id, ondelete="CASCADE"), index=True
    )
    # For people who cannot see it, as the lead gave it; the text may say it otherwise.
    description: Mapped[str]
    media_type: Mapped[str]
    content: Mapped[bytes] = mapped_column(deferred=True)
    width: Mapped[int]
    height: Mapped[int]

    @property
    def source(self) -> str:
        """Return the code that shows the picture in a text."""
        words = MARKDOWN_MARKS.sub(r"\\\1", self.description)
        return f"![{words}](picture:{self.public_id})"


class Flyer(PublicIdBase):
    """A PDF that is attached to an issue: written by us, of what its pages show."""

    __tablename__ = "flyers"

    newsletter_id: Mapped[int] = mapped_column(
        ForeignKey(Newsletter.id, ondelete="CASCADE"), index=True
    )
    # Its file is named after it, which an inbox shows: it must not name the group.
    title: Mapped[str]
    content: Mapped[bytes] = mapped_column(deferred=True)
    # Octets.
    size: Mapped[int]
    pages: Mapped[int]
    # Whether screen readers find an order and a structure in it.
    is_tagged: Mapped[bool]


class RenderedIssue(Base):
    """An issue as it goes out in one language of the footer: every worker sends these bytes."""

    __tablename__ = "rendered_issues"

    newsletter_id: Mapped[int] = mapped_column(
        ForeignKey(Newsletter.id, ondelete="CASCADE"), primary_key=True
    )
    language: Mapped[str] = mapped_column(primary_key=True)
    wire: Mapped[bytes]


class Approval(Base):
    """A second leader's approval of an issue: asked for on exactly these words, and perhaps given.

    An edit voids it, for then the words are others.
    """

    __tablename__ = "approvals"

    newsletter_id: Mapped[int] = mapped_column(
        ForeignKey(Newsletter.id, ondelete="CASCADE"), primary_key=True
    )
    asked_by: Mapped[int] = mapped_column(ForeignKey(Account.id, ondelete="CASCADE"), index=True)
    asked_at: Mapped[datetime]
    # When it is to go out; none: so many minutes after the approval.
    due_at: Mapped[datetime | None]
    undo_minutes: Mapped[int]
    # SHA-256 of what is to go out.
    digest: Mapped[bytes]
    approved_by: Mapped[int | None] = mapped_column(
        ForeignKey(Account.id, ondelete="CASCADE"), index=True
    )
    approved_at: Mapped[datetime | None]


class OperatorRelease(Base):
    """A release by an operator's command: no second leader is asked about these words.

    The web's role cannot write it.
    """

    __tablename__ = "operator_releases"

    newsletter_id: Mapped[int] = mapped_column(
        ForeignKey(Newsletter.id, ondelete="CASCADE"), primary_key=True
    )
    digest: Mapped[bytes]
