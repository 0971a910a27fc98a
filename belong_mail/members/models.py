"""Subscriptions, pending confirmations, the waiting list, and sessions of self-service."""

from datetime import date, datetime
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

from belong_mail.core.db import Base, IdBase, Language, PublicIdBase, new_public_id, now
from belong_mail.groups.models import Group

INACTIVE = "confirmed_at IS NULL OR ended_at IS NOT NULL OR is_suppressed = 1"


class Subscription(PublicIdBase):
    """One address's membership of one group, or its sign-up.

    Events are stored as times; the state follows from them. Two memberships of one person share no
    value, and only the worker can open what is wrapped.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (
        UniqueConstraint("group_id", "address_index"),
        # Serves a range of one group's members, however many other groups there are.
        Index("ix_subscriptions_group_id_id", "group_id", "id"),
        Index("ix_subscriptions_inactive", "id", sqlite_where=text(INACTIVE)),
        Index(
            "ix_subscriptions_introduced",
            "id",
            sqlite_where=text("wrapped_introduction IS NOT NULL"),
        ),
    )

    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id))
    group: Mapped[Group] = relationship()
    # HMAC of group and address.
    address_index: Mapped[bytes]
    # The index of the address without its plus tag, if it has one, so that leads count both once.
    counted_index: Mapped[bytes | None]
    wrapped_address: Mapped[bytes]
    wrapped_name: Mapped[bytes | None]
    # The introduction for the leads; deleted when they have it.
    wrapped_introduction: Mapped[bytes | None]
    language: Mapped[str] = mapped_column(Language)

    requested_at: Mapped[datetime] = mapped_column(default=now)
    confirmed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    # Ended because emails bounced; an operator may undo it.
    is_unreachable: Mapped[bool] = mapped_column(default=False, server_default=false())
    # No issues before this time; the membership goes on.
    paused_until: Mapped[datetime | None]
    # Wants an email the day before a meeting.
    is_reminded: Mapped[bool] = mapped_column(default=False)
    # Wants no email at all. It has no time, which would link the rows of one person.
    is_suppressed: Mapped[bool] = mapped_column(default=False)

    @hybrid_property
    def is_active(self) -> bool:
        return self.confirmed_at is not None and self.ended_at is None and not self.is_suppressed

    @is_active.inplace.expression
    @classmethod
    def _is_active(cls) -> ColumnElement[bool]:
        return and_(cls.confirmed_at.is_not(None), cls.ended_at.is_(None), not_(cls.is_suppressed))

    @classmethod
    def is_inactive(cls) -> ColumnElement[bool]:
        """Select inactive memberships, in the words of their index."""
        return or_(cls.confirmed_at.is_(None), cls.ended_at.is_not(None), cls.is_suppressed)

    @classmethod
    def reads_at(cls, at: Any) -> ColumnElement[bool]:
        """Select members whose issues were not paused at a time."""
        return or_(cls.paused_until.is_(None), cls.paused_until <= at)

    @property
    def pause(self) -> datetime | None:
        """Return until when its issues are paused, or None."""
        until = self.paused_until
        return until if until is not None and until > now() else None


class Erasure(Base):
    """A person who asked to be erased: their rows go one by one, each at an hour of its own.

    It names no person and no group; only the worker can read which rows are meant.
    """

    __tablename__ = "erasures"

    # HMAC of the address alone.
    address_index: Mapped[bytes] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    # The rows, the start, and the seed of their hours.
    wrapped: Mapped[bytes]


class PendingConfirmation(IdBase):
    """The sign-up that one confirmation email asks about; its link grants this and nothing else."""

    __tablename__ = "pending_confirmations"

    # SHA-256 of the secret in the link.
    confirm_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    subscription_id: Mapped[int] = mapped_column(
        ForeignKey(Subscription.id, ondelete="CASCADE"), index=True
    )
    subscription: Mapped[Subscription] = relationship()
    language: Mapped[str] = mapped_column(Language)
    wrapped_name: Mapped[bytes | None]
    # Both are wrapped for their place in the subscription, so confirming only moves them.
    wrapped_introduction: Mapped[bytes | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    # The address was on an imported list: no one typed it.
    is_invited: Mapped[bool] = mapped_column(default=False, server_default=false())
    # The person was reminded.
    is_reminded: Mapped[bool] = mapped_column(default=False, server_default=false())


class WaitlistEntry(PublicIdBase):
    """One address's request to be notified when a group starts.

    It has no time, which would link the rows of one person; it has the day on which it ends.
    """

    __tablename__ = "waitlist_entries"
    __table_args__ = (UniqueConstraint("group_id", "address_index"),)

    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id, ondelete="CASCADE"))
    group: Mapped[Group] = relationship()
    # HMAC of group and address.
    address_index: Mapped[bytes]
    # Opens only in this row and for this group.
    wrapped_address: Mapped[bytes]
    language: Mapped[str] = mapped_column(Language)
    # Its last day; then it is deleted, notified or not.
    kept_until: Mapped[date]


class ManageSession(IdBase):
    """One person's memberships for half an hour; the emailed link's secret opens the list."""

    __tablename__ = "manage_sessions"

    # SHA-256 of the secret in the link.
    secret_hash: Mapped[bytes] = mapped_column(unique=True)
    # The subscriptions' public ids, AES-256-GCM under a key derived from the secret.
    locked: Mapped[bytes]
    expires_at: Mapped[datetime]


class AddressChange(PublicIdBase):
    """A new address that has yet to be confirmed from its own mailbox."""

    __tablename__ = "address_changes"

    # The new address and the subscriptions it is for; only the worker can open it.
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(default=now)
    confirmed_at: Mapped[datetime | None]


class BarredAddress(Base):
    """An address that cannot join a group, as a keyed hash of both; the web cannot write here."""

    __tablename__ = "barred_addresses"

    group_id: Mapped[int] = mapped_column(
        ForeignKey(Group.id, ondelete="CASCADE"), primary_key=True
    )
    address_index: Mapped[bytes] = mapped_column(primary_key=True)
