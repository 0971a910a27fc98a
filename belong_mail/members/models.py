"""Tables of subscriptions, confirmations, waiting list, erasures and self-service."""

from datetime import date, datetime, timedelta
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

# Kinds of email.
INTRODUCE, WELCOME = "introduce-member", "welcome-member"
LONGEST_PAUSE = timedelta(days=365)
INACTIVE = "confirmed_at IS NULL OR ended_at IS NOT NULL OR is_suppressed = 1"


class Subscription(PublicIdBase):
    """One mailbox's membership of one group, or its sign-up.

    Its state follows from the times of events. Two memberships of one person have no value in
    common, and only the worker can decrypt them.
    """

    __tablename__ = "subscriptions"
    __table_args__ = (
        UniqueConstraint("group_id", "address_index"),
        # For ranges of one group's members.
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
    # HMAC of group and mailbox: the normalised address without its plus tag.
    address_index: Mapped[bytes]
    wrapped_address: Mapped[bytes]
    wrapped_name: Mapped[bytes | None]
    # The introduction for leaders; deleted when they have received it.
    wrapped_introduction: Mapped[bytes | None]
    language: Mapped[str] = mapped_column(Language)

    requested_at: Mapped[datetime] = mapped_column(default=now)
    confirmed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    # Ended by bounces; the office or an operator can restore it.
    is_unreachable: Mapped[bool] = mapped_column(default=False, server_default=false())
    # No issues until this time.
    paused_until: Mapped[datetime | None]
    # Whether to email the day before a meeting.
    is_reminded: Mapped[bool] = mapped_column(default=False)
    # Whether its owner wants no email. No time is stored, as it would relate a person's rows.
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
        """Match inactive memberships with the condition of their partial index."""
        return or_(cls.confirmed_at.is_(None), cls.ended_at.is_not(None), cls.is_suppressed)

    @classmethod
    def reads_at(cls, at: Any) -> ColumnElement[bool]:
        """Match members whose issues were not paused at a time."""
        return or_(cls.paused_until.is_(None), cls.paused_until <= at)

    @property
    def pause(self) -> datetime | None:
        """Return the end of the current pause, or None."""
        until = self.paused_until
        return until if until is not None and until > now() else None


class Erasure(Base):
    """The erasure of a person, whose rows are deleted one by one, each at its own time.

    It identifies no person or group; only the worker can read which rows it is about.
    """

    __tablename__ = "erasures"

    # HMAC of the mailbox alone.
    address_index: Mapped[bytes] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    # The rows, the start, and the seed of their times.
    wrapped: Mapped[bytes]


class PendingConfirmation(IdBase):
    """The sign-up that one confirmation email is about; its link confirms nothing else."""

    __tablename__ = "pending_confirmations"

    # Hash of the link's secret.
    confirm_id: Mapped[str] = mapped_column(default=new_public_id, unique=True)
    subscription_id: Mapped[int] = mapped_column(
        ForeignKey(Subscription.id, ondelete="CASCADE"), index=True
    )
    subscription: Mapped[Subscription] = relationship()
    language: Mapped[str] = mapped_column(Language)
    wrapped_name: Mapped[bytes | None]
    # Wrapped for the subscription's columns, so that confirming only moves them.
    wrapped_introduction: Mapped[bytes | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    # Whether the address was on an imported list.
    is_invited: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Whether a reminder was sent.
    is_reminded: Mapped[bool] = mapped_column(default=False, server_default=false())


class WaitlistEntry(PublicIdBase):
    """A request to notify a mailbox when a group starts.

    No time is stored, as it would relate a person's rows; only the day on which it is deleted.
    """

    __tablename__ = "waitlist_entries"
    __table_args__ = (UniqueConstraint("group_id", "address_index"),)

    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id, ondelete="CASCADE"))
    group: Mapped[Group] = relationship()
    # HMAC of group and mailbox; None until the worker has indexed a request of version 1.0.
    address_index: Mapped[bytes | None]
    # Wrapped for this row and group.
    wrapped_address: Mapped[bytes]
    language: Mapped[str] = mapped_column(Language)
    # Its last day; then it is deleted, whether the group has started or not.
    kept_until: Mapped[date]


class ManageSession(IdBase):
    """A person's memberships for half an hour, which the secret in an emailed link decrypts."""

    __tablename__ = "manage_sessions"

    # SHA-256 of the link's secret.
    secret_hash: Mapped[bytes] = mapped_column(unique=True)
    # JSON, encrypted under a key derived from the secret (`self_service.lock_list`).
    locked: Mapped[bytes]
    expires_at: Mapped[datetime]


class AddressChange(PublicIdBase):
    """A new address that has to be confirmed from its mailbox."""

    __tablename__ = "address_changes"

    # The new address and the memberships to move, wrapped.
    wrapped: Mapped[bytes]
    created_at: Mapped[datetime] = mapped_column(default=now)
    confirmed_at: Mapped[datetime | None]


class BarredAddress(Base):
    """A keyed hash of group and a mailbox that cannot join it; the web cannot write rows."""

    __tablename__ = "barred_addresses"

    group_id: Mapped[int] = mapped_column(
        ForeignKey(Group.id, ondelete="CASCADE"), primary_key=True
    )
    address_index: Mapped[bytes] = mapped_column(primary_key=True)
