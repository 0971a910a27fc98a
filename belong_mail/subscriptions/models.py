"""Subscriptions, the wishes that wait for a confirmation, and requests not yet read."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    UniqueConstraint,
    and_,
    false,
    not_,
    or_,
    text,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from belong_mail.db import Base, new_public_id, now
from belong_mail.groups.models import Group

INACTIVE = "confirmed_at IS NULL OR ended_at IS NOT NULL OR is_suppressed = 1"


class Subscription(Base):
    """One address's wish for one group's newsletters.

    What happened is kept as times; the state follows from them. Two memberships of one person have
    nothing in common, and only the worker can open what is wrapped.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (
        UniqueConstraint("group_id", "address_index"),
        Index("ix_subscriptions_inactive", "id", sqlite_where=text(INACTIVE)),
        Index(
            "ix_subscriptions_introduced",
            "id",
            sqlite_where=text("wrapped_introduction IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id))
    group: Mapped[Group] = relationship()
    address_index: Mapped[bytes]
    """HMAC of group and address."""
    wrapped_address: Mapped[bytes]
    wrapped_name: Mapped[bytes | None]
    wrapped_introduction: Mapped[bytes | None]
    """What the leads are to be told; gone as soon as they have been."""
    language: Mapped[str]

    requested_at: Mapped[datetime] = mapped_column(default=now)
    confirmed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    is_unreachable: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Ended because mail came back; nobody has left, and an operator may undo it."""
    paused_until: Mapped[datetime | None]
    """No issues before then; the membership goes on."""
    is_reminded: Mapped[bool] = mapped_column(default=False)
    """Wants a mail the day before a meeting."""
    is_suppressed: Mapped[bool] = mapped_column(default=False)
    """Left alone on request; without a time, which would link the rows of one person."""

    asked_at: Mapped[datetime | None]
    """When the last letter that a stranger's request caused was due."""
    asked_until: Mapped[float] = mapped_column(default=0.0)
    """Until when the allowance of such letters is used up, in seconds since 1970."""

    @hybrid_property
    def is_active(self) -> bool:
        return self.confirmed_at is not None and self.ended_at is None and not self.is_suppressed

    @is_active.inplace.expression
    @classmethod
    def _is_active(cls) -> ColumnElement[bool]:
        return and_(cls.confirmed_at.is_not(None), cls.ended_at.is_(None), not_(cls.is_suppressed))

    @classmethod
    def is_inactive(cls) -> ColumnElement[bool]:
        """Select the others, in the words of their index."""
        return or_(cls.confirmed_at.is_(None), cls.ended_at.is_not(None), cls.is_suppressed)

    @classmethod
    def reads_at(cls, at: Any) -> ColumnElement[bool]:
        """Select those whose issues were not paused at a time."""
        return or_(cls.paused_until.is_(None), cls.paused_until <= at)

    @property
    def pause(self) -> datetime | None:
        """Until when its issues are paused now; None when they come."""
        until = self.paused_until
        return until if until is not None and until > now() else None


class Wish(Base):
    """What one confirmation mail asks about; its link grants this wish and no other."""

    __tablename__ = "wishes"

    id: Mapped[int] = mapped_column(primary_key=True)
    confirm_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    subscription_id: Mapped[int] = mapped_column(
        ForeignKey(Subscription.id, ondelete="CASCADE"), index=True
    )
    subscription: Mapped[Subscription] = relationship()
    language: Mapped[str]
    wrapped_name: Mapped[bytes | None]
    wrapped_introduction: Mapped[bytes | None]
    """Both wrapped for their place in the subscription, so that confirming only moves them."""
    created_at: Mapped[datetime] = mapped_column(default=now)


class Request(Base):
    """Something a visitor asked for, written down by the blind web for the worker to read."""

    __tablename__ = "requests"
    __table_args__ = (
        Index(
            "ix_requests_subscription_id",
            "subscription_id",
            sqlite_where=text("subscription_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    """What is wanted; `handlers.receivers` names who reads each kind."""
    group_id: Mapped[int | None] = mapped_column(ForeignKey(Group.id))
    subscription_id: Mapped[int | None] = mapped_column(
        ForeignKey(Subscription.id, ondelete="CASCADE")
    )
    sealed: Mapped[bytes | None]
    due_at: Mapped[datetime] = mapped_column(default=now, index=True)
    failures: Mapped[int] = mapped_column(default=0)
    """How often reading it failed; after three it is left for the operator."""
