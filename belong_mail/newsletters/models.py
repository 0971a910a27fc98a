"""Newsletters, their pictures and flyers, and the finished bytes of an issue."""

import re
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Integer, String, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from belong_mail.accounts.models import Account
from belong_mail.core.db import Base, BigId, Checked, PublicIdBase, TextByLanguage, now
from belong_mail.core.i18n import DEFAULT, LocalizedText
from belong_mail.groups.models import Group
from belong_mail.newsletters.confinement import TYPES

# Characters with a meaning in Markdown, or in a placeholder.
MARKDOWN_MARKS = re.compile(r"([\\`*_\[\]<>&!{}~])")


class Newsletter(PublicIdBase):
    """One issue of one group; events are stored as times."""

    __tablename__ = "newsletters"
    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id), index=True)
    group: Mapped[Group] = relationship()
    subject: Mapped[LocalizedText] = mapped_column(TextByLanguage, default=dict)
    # Inboxes show it after the subject; if it is empty we add some words.
    preheader: Mapped[LocalizedText] = mapped_column(
        TextByLanguage, default=dict, server_default="{}"
    )
    # Markdown. Readers of a language without a text get the default's subject and text.
    text: Mapped[LocalizedText] = mapped_column(TextByLanguage, default=dict)
    # When the rows of its copies were deleted; `issue_counts` has their numbers.
    counted_at: Mapped[datetime | None]
    # A template for the group's drafts, which is never sent itself.
    is_template: Mapped[bool] = mapped_column(default=False, server_default=false())
    changed_at: Mapped[datetime] = mapped_column(default=now)
    # When it is to be queued; None for a draft.
    due_at: Mapped[datetime | None] = mapped_column(index=True)
    # The account that released it; None for a command, or once that account is deleted.
    released_by: Mapped[int | None] = mapped_column(
        ForeignKey(Account.id, ondelete="SET NULL"), index=True
    )
    # Members who had confirmed by then get it.
    queued_at: Mapped[datetime | None]
    # When the last of its copies was finished.
    ended_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    # Paused automatically: servers refused many copies, for content or policy.
    is_refused: Mapped[bool] = mapped_column(default=False)
    # Paused automatically: no email could be sent for an hour.
    is_late: Mapped[bool] = mapped_column(default=False)
    # When a lead last resumed it.
    resumed_at: Mapped[datetime | None]
    # Stopped for good: unsent copies are withdrawn.
    stopped_at: Mapped[datetime | None]
    # Not sent when due, so the leaders were asked; `tasks` decides.
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


def _media_type(value: Any) -> str:
    return value if value in TYPES else "image/png"


def _side(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 1


class Image(PublicIdBase):
    """A picture inside an issue: re-encoded, without metadata."""

    __tablename__ = "images"

    newsletter_id: Mapped[int] = mapped_column(
        ForeignKey(Newsletter.id, ondelete="CASCADE"), index=True
    )
    # Alternative text, as the lead gave it; the text may use another one.
    description: Mapped[str]
    media_type: Mapped[str] = mapped_column(Checked(_media_type, String))
    content: Mapped[bytes] = mapped_column(deferred=True)
    width: Mapped[int] = mapped_column(Checked(_side, Integer))
    height: Mapped[int] = mapped_column(Checked(_side, Integer))

    @property
    def source(self) -> str:
        """Return Markdown that shows the picture."""
        words = MARKDOWN_MARKS.sub(r"\\\1", self.description)
        return f"![{words}](picture:{self.public_id})"


class Flyer(PublicIdBase):
    """A PDF attached to an issue: rewritten by us from what its pages show."""

    __tablename__ = "flyers"

    newsletter_id: Mapped[int] = mapped_column(
        ForeignKey(Newsletter.id, ondelete="CASCADE"), index=True
    )
    # The file is named after the title, and inboxes show it, so it must not name the group.
    title: Mapped[str]
    content: Mapped[bytes] = mapped_column(deferred=True)
    # Bytes.
    size: Mapped[int]
    pages: Mapped[int]
    # Whether it is a tagged PDF, as screen readers need.
    is_tagged: Mapped[bool]


class RenderedIssue(Base):
    """An issue's message in one language, with slots and encrypted; every worker sends it."""

    __tablename__ = "rendered_issues"

    # Not a foreign key, whose check would wait for a lock on the newsletter.
    newsletter_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    wire: Mapped[bytes]


class Approval(Base):
    """A request for a second leader's approval of an issue, and the approval.

    An edit voids it, as `digest` differs then.
    """

    __tablename__ = "approvals"

    newsletter_id: Mapped[int] = mapped_column(
        ForeignKey(Newsletter.id, ondelete="CASCADE"), primary_key=True
    )
    asked_by: Mapped[int] = mapped_column(ForeignKey(Account.id, ondelete="CASCADE"), index=True)
    asked_at: Mapped[datetime]
    # When it is to be sent; None: so many minutes after the approval.
    due_at: Mapped[datetime | None]
    undo_minutes: Mapped[int]
    # SHA-256 of what is to be sent.
    digest: Mapped[bytes]
    approved_by: Mapped[int | None] = mapped_column(
        ForeignKey(Account.id, ondelete="CASCADE"), index=True
    )


class OperatorRelease(Base):
    """A release by an operator's command, which needs no approval of this content.

    The web's database role cannot write it.
    """

    __tablename__ = "operator_releases"

    newsletter_id: Mapped[int] = mapped_column(
        ForeignKey(Newsletter.id, ondelete="CASCADE"), primary_key=True
    )
    digest: Mapped[bytes]
