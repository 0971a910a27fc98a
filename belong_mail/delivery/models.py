"""Tables of the outbox: deliveries, chunks of issues, workers' leases, suppressions."""

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
    """The state of a delivery; the first three are unfinished."""

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
    """Return an index of unfinished rows only (a partial index), for SQLite.

    `ops.schema` adds the condition for PostgreSQL; here its dialect would be loaded for everyone.
    """
    return Index(name, *columns, sqlite_where=text(where))


class Delivery(IdBase):
    """One message to one recipient: a subscription, an account, or a wrapped address.

    A finished row loses its recipient if that is deleted.
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
    # Not a foreign key: every insert would wait for a lock on the issue or its table.
    newsletter_id: Mapped[int | None] = mapped_column(BigId)
    subscription_id: Mapped[int | None] = mapped_column(
        ForeignKey("subscriptions.id", ondelete="SET NULL"), index=True
    )
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id", ondelete="SET NULL"))
    sealed_to: Mapped[bytes | None]
    # Id of the row that it is about, unless that is the recipient's; the table depends on the kind.
    about_id: Mapped[int | None] = mapped_column(BigId)

    # The template's arguments for this message, such as the secret of a link, as wrapped JSON.
    sealed_arguments: Mapped[bytes | None]

    state: Mapped[str] = mapped_column(default=State.QUEUED)
    created_at: Mapped[datetime] = mapped_column(default=now)
    # When it is to be tried next; None: not by itself.
    due_at: Mapped[datetime | None] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
    # Tries that got a temporary refusal, or whose connection broke with this message.
    attempts: Mapped[int] = mapped_column(default=0)
    # Workers that died while they were sending it, before its final dot.
    deaths: Mapped[int] = mapped_column(default=0, server_default="0")
    # When the answer to a final dot was last lost: a copy may have arrived.
    lost_at: Mapped[datetime | None]
    # 1 if a second copy was sent although the first may have arrived, else 0.
    resent: Mapped[int] = mapped_column(default=0)

    # The worker that holds it, or held it when it became uncertain.
    claimed_by: Mapped[str | None]
    # Whether its last try reached the final dot, and so counts against the relay's daily quota.
    is_dot_sent: Mapped[bool] = mapped_column(default=False)
    code: Mapped[int | None]
    enhanced: Mapped[str | None]
    # A known phrase found in the relay's reply, whose own text may quote addresses.
    phrase: Mapped[str | None]


class Chunk(IdBase):
    """A range of an issue's members who wait; a claim takes its first ones, and inserts deliveries.

    Workers that send at the same time lock different chunks.
    """

    __tablename__ = "chunks"
    __table_args__ = (
        _partial("ix_chunks_waiting", "id", where="inserted IS NULL"),
        _partial("ix_chunks_halted", "newsletter_id", where="is_halted"),
    )

    newsletter_id: Mapped[int] = mapped_column(
        ForeignKey("newsletters.id", ondelete="CASCADE"), index=True
    )
    # The ids of the first subscription that waits, and of the last.
    low: Mapped[int] = mapped_column(BigId)
    high: Mapped[int] = mapped_column(BigId)
    # How many of the members at queueing have no delivery yet; negative if others joined.
    planned: Mapped[int]
    # None while the chunk waits, then 0; members still in `planned` have left. Version 1.0 never
    # changed `planned`, and stored here how many deliveries it inserted.
    inserted: Mapped[int | None]
    # Whether its issue is paused.
    is_halted: Mapped[bool] = mapped_column(default=False)


class IssueCount(Base):
    """A part of an issue's count of deliveries in a state, which is the sum of all such rows.

    Triggers of `deliveries` write it in the transaction of each change. A delivery whose row is
    deleted after 400 days stays counted.
    """

    __tablename__ = "issue_counts"

    # Not a foreign key: checking the issue's row would wait for its lock.
    newsletter_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    state: Mapped[str] = mapped_column(primary_key=True)
    # The PostgreSQL backend that wrote the row, so that no transaction waits for another; 0 on
    # SQLite. Its number may be negative: one backend may subtract what another added.
    backend: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]
    # How many of them were sent again although a copy may have arrived.
    resent: Mapped[int]


# Copy deliveries first in `db move`: the triggers count them as they are inserted.
IssueCount.__table__.add_is_dependent_on(Delivery.__table__)  # type: ignore[attr-defined]
# The ids of paused issues.
HALTED_NEWSLETTERS = select(Chunk.newsletter_id).where(Chunk.is_halted)
_issues = table("newsletters", column("id"), column("paused_at"), column("stopped_at"))
# Whether the web has marked a chunk's issue as paused or stopped. The worker may not have read the
# job yet that halts its chunks.
IS_MARKED = exists().where(
    _issues.c.id == Chunk.newsletter_id,
    or_(_issues.c.paused_at.is_not(None), _issues.c.stopped_at.is_not(None)),
)
# How long a worker's claim lasts without a renewal.
LEASE = timedelta(minutes=1)


class Lease(Base):
    """The lease of a running worker, whose deliveries no other may take over before it ends."""

    __tablename__ = "leases"

    owner: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[datetime]
    # The ids of all deliveries that it holds, and of some that it no longer holds; None: unknown.
    held: Mapped[str | None]
    # The number of its last transaction that claimed or settled; its journal has it, too.
    turn: Mapped[int] = mapped_column(default=0, server_default="0")

    @property
    def ids(self) -> list[int]:
        return [int(each) for each in (self.held or "").split(",") if each]


class SentPerMinute(Base):
    """How many final dots a worker sent in a minute, for the relay's daily quota."""

    __tablename__ = "sent_per_minutes"

    # Each worker has its own rows, so that none waits for another.
    owner: Mapped[str] = mapped_column(primary_key=True)
    minute: Mapped[datetime] = mapped_column(primary_key=True)
    number: Mapped[int]
    # How many deliveries it gave back that minute because they had waited too long to be sent.
    stale: Mapped[int] = mapped_column(default=0)


class Suppression(Base):
    """The keyed hash of an address that is never emailed; no group or time of day is stored."""

    __tablename__ = "suppressions"

    address_index: Mapped[bytes] = mapped_column(primary_key=True)
    reason: Mapped[str]
    since: Mapped[date] = mapped_column(default=lambda: now().date())
