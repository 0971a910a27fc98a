"""Groups and the questions of their sign-up forms."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from belong_mail.db import Base, new_public_id, now

Words = dict[str, str]
"""The same words in each language: {"en": …, "es": …}."""
QUIET = {"lgbtq", "people-with-disabilities", "autoimmune"}
"""Discreet groups, by slug: refused in a subject, “Belong meeting” in a calendar."""


class Group(Base):
    """A Belong group: established, upcoming or retired; what happened is kept as times."""

    __tablename__ = "groups"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    """Names the group in List-Id, where the slug would tell what it is about."""
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    summary: Mapped[Words] = mapped_column(JSON)
    note: Mapped[Words] = mapped_column(JSON, default=dict)
    """Something for the card, like “Writing our charter now”; may be empty."""
    resources: Mapped[list[Any]] = mapped_column(JSON, default=list)
    """Links to show on its page: [{"title": Words, "url": …}]."""
    welcome: Mapped[Words] = mapped_column(JSON, default=dict)
    """The leads' own words in the welcome mail; may be empty."""
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What the leads' last change replaced, so that it can be undone."""
    wrapped_mailbox: Mapped[bytes | None]
    """The leads' shared mailbox: gets messages to the group and replies to its issues.

    The worker wraps it once it is confirmed; nobody else can name one.
    """
    position: Mapped[int]
    """Its place in the directory; its hue follows."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    established_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
    questions: Mapped[list["Question"]] = relationship(order_by="Question.position")

    @property
    def is_open(self) -> bool:
        """Whether people can join: established and not retired."""
        return self.established_at is not None and self.retired_at is None


class Question(Base):
    """A question of one group's form; `kind` is text, choice, choices or consent.

    None asks identity, diagnosis or pronouns.
    """

    __tablename__ = "questions"

    id: Mapped[int] = mapped_column(primary_key=True)
    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id, ondelete="CASCADE"), index=True)
    position: Mapped[int]
    kind: Mapped[str]
    label: Mapped[Words] = mapped_column(JSON)
    options: Mapped[list[Any]] = mapped_column(JSON, default=list)
    """For choices: a list of Words."""
    is_required: Mapped[bool] = mapped_column(default=False)
    approved_at: Mapped[datetime | None] = mapped_column(default=now)
    """When the office said yes; before, nobody is asked."""
