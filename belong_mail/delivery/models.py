"""Deliveries, chunks, leases, suppressions."""

from datetime import date, datetime, timedelta
from enum import StrEnum

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    UniqueConstraint,
    column,
    exists,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from belong_mail.core.db import Base, BigId, IdBase, now

IS_COPY_DUE = "newsletter_id IS NOT NULL AND due_at IS NOT NULL"


class State(StrEnum):
    """Where a delivery stands. At rest none is in the first three."""

    QUEUED = "queued"
    SENDING = "sending"
    DEFERRED = "deferred"
    ACCEPTED = "accepted"
    BOUNCED = "bounced"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    UNCERTAIN = "uncertain"


UNFINISHED = (State.QUEUED, State.SENDING, State.DEFERRED)


def _partial(name: str, *columns: str, where: str) -> Index:
    """Return an index of waiting rows only, so that finished ones are not scanned.

    The migrations create it in PostgreSQL too; here that would load its dialect for everyone.
    """
    return Index(name, *columns, sqlite_where=text(where))


class Delivery(IdBase):
    """One message to one recipient, named by exactly one of three columns.

    Once it is finished it may forget its recipient.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint(
            "CASE WHEN subscription_id IS NULL THEN 0 ELSE 1 END"
            " + CASE WHEN account_id IS NULL THEN 0 ELSE 1 END"
            " + CASE WHEN sealed_to IS NULL THEN 0 ELSE 1 END = 1"
            " OR finished_at IS NOT NULL",
            name="one_recipient",
        ),
        UniqueConstraint("newsletter_id", "subscription_id"),
        _partial("ix_deliveries_due", "newsletter_id", "due_at", "id", where="due_at IS NOT NULL"),
        _partial("ix_deliveries_due_again", "due_at", "id", where=IS_COPY_DUE),
        _partial("ix_deliveries_about_id", "about_id", where="about_id IS NOT NULL"),
        _partial(
            "ix_deliveries_single", "newsletter_id", "created_at", where="newsletter_id IS NULL"
        ),
        _partial("ix_deliveries_told", "created_at", where="sealed_arguments IS NOT NULL"),
    )

    # The kind of email: the name of a file in `emails/`.
    kind: Mapped[str]
    # Not a foreign key: every email would wait for whoever has locked the issue, or its table.
    newsletter_id: Mapped[int | None] = mapped_column(BigId)
    subscription_id: Mapped[int | None] = mapped_column(
        ForeignKey("subscriptions.id", ondelete="SET NULL"), index=True
    )
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))
    sealed_to: Mapped[bytes | None]
    # The row that the message is about, in its kind's table, unless that is its recipient.
    about_id: Mapped[int | None] = mapped_column(BigId)

    # This message's own words, such as the secret of a link.
    sealed_arguments: Mapped[bytes | None]

    state: Mapped[str] = mapped_column(default=State.QUEUED)
    created_at: Mapped[datetime] = mapped_column(default=now)
    # When it may be tried (again); None: never by itself.
    due_at: Mapped[datetime | None] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
    # Tries that were answered with “later”, or broke off with this message.
    attempts: Mapped[int] = mapped_column(default=0)
    # Workers that died while they had it in hand, before its final dot.
    deaths: Mapped[int] = mapped_column(default=0, server_default="0")
    # When the answer to a final dot was last lost: a copy may have arrived.
    lost_at: Mapped[datetime | None]
    # 1 if it was sent again although a copy may have arrived, else 0.
    resent: Mapped[int] = mapped_column(default=0)

    # The worker that holds it, or held it when it became uncertain.
    claimed_by: Mapped[str | None]
    # Its last try reached the final dot, so it counts against the relay's daily quota.
    is_dot_sent: Mapped[bool] = mapped_column(default=False)
    code: Mapped[int | None]
    enhanced: Mapped[str | None]
    # Our phrase for the relay's words; their own words quote addresses.
    phrase: Mapped[str | None]


class Chunk(IdBase):
    """A range of an issue's members; claiming it inserts their deliveries."""

    __tablename__ = "chunks"
    __table_args__ = (
        _partial("ix_chunks_waiting", "id", where="inserted IS NULL"),
        _partial("ix_chunks_halted", "newsletter_id", where="is_halted"),
    )

    newsletter_id: Mapped[int] = mapped_column(
        ForeignKey("newsletters.id", ondelete="CASCADE"), index=True
    )
    # The ids of the first and the last subscription.
    low: Mapped[int] = mapped_column(BigId)
    high: Mapped[int] = mapped_column(BigId)
    planned: Mapped[int]
    # How many deliveries the claim made; None before. The others were withdrawn.
    inserted: Mapped[int | None]
    # Its issue is paused.
    is_halted: Mapped[bool] = mapped_column(default=False)


class IssueCount(Base):
    """Part of the number of an issue's deliveries in a state: add the rows up.

    Triggers of `deliveries` write them, in the transaction of each change. After 400 days a
    delivery's own row is deleted, and still counted.
    """

    __tablename__ = "issue_counts"

    # Not a foreign key: checking the issue's row would wait for its lock.
    newsletter_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    state: Mapped[str] = mapped_column(primary_key=True)
    # Each process of PostgreSQL has its own rows, so that none waits for another; SQLite has 0. A
    # number may be below zero: one process may subtract what another has added.
    backend: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    # How many of them were sent again although a copy may have arrived.
    resent: Mapped[int]


# `db move` copies deliveries first: they are counted as they are inserted.
IssueCount.__table__.add_is_dependent_on(Delivery.__table__)  # type: ignore[attr-defined]
# The issues that are paused.
HALTED_NEWSLETTERS = select(Chunk.newsletter_id).where(Chunk.is_halted)
_issues = table("newsletters", column("id"), column("paused_at"), column("stopped_at"))
# Whether a chunk's issue has a mark that stops sending: the worker may not have read the job yet
# that halts its chunks.
IS_MARKED = exists().where(
    _issues.c.id == Chunk.newsletter_id,
    or_(_issues.c.paused_at.is_not(None), _issues.c.stopped_at.is_not(None)),
)
# How long a worker's claim lasts; it renews the lease while it lives.
LEASE = timedelta(minutes=1)


class Lease(Base):
    """A living worker, and until when others must believe that it lives."""

    __tablename__ = "leases"

    owner: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[datetime]
    # The ids of all deliveries that it has in hand, and of some that it had; None: unknown.
    held: Mapped[str | None]
    # The number of its last transaction that claimed or settled; its journal counts as well.
    turn: Mapped[int] = mapped_column(default=0, server_default="0")

    @property
    def ids(self) -> list[int]:
        return [int(each) for each in (self.held or "").split(",") if each]


class SentPerMinute(Base):
    """How many final dots a worker recorded in a minute, for the relay's daily quota."""

    __tablename__ = "sent_per_minutes"

    # Each worker has its own rows, so that none waits for another.
    owner: Mapped[str] = mapped_column(primary_key=True)
    minute: Mapped[datetime] = mapped_column(primary_key=True)
    number: Mapped[int]
    # How many it gave back that minute because their turn did not come in time.
    stale: Mapped[int] = mapped_column(default=0)


class Suppression(Base):
    """An address that is never emailed, as a keyed hash; without a group and a time."""

    __tablename__ = "suppressions"

    address_index: Mapped[bytes] = mapped_column(primary_key=True)
    reason: Mapped[str]
    since: Mapped[date] = mapped_column(default=lambda: now().date())
