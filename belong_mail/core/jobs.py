"""Jobs that the web seals for the worker. Each kind is a dataclass in a room's `jobs.py`.

The number of jobs that look an address up is limited, so that no one can test a list: an intruder
in the web can seal guesses, and see in the database which of them are known. The worker reads no
more than people could send; the rest waits.
"""

import json
import re
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_args, get_origin

from sqlalchemy import ForeignKey, Index, event, text
from sqlalchemy.orm import Mapped, Session, mapped_column, object_session

from belong_mail.core import logs, rate_limits
from belong_mail.core.db import IdBase, now
from belong_mail.core.encryption import Sealer, sealed_for
from belong_mail.core.rate_limits import (
    DELAYED_LOOKUPS,
    JOBS_RATE,
    LOOKUPS_PER_DAY,
    LOOKUPS_PER_MINUTE,
    NOTICE_RATE,
    UNUSUAL_LOOKUPS,
    UNUSUAL_LOOKUPS_PER_WEEK,
)

if TYPE_CHECKING:
    from belong_mail.core.decryption import Opener

# After this many failures a job is left for the operator.
MAX_FAILURES = 3
# More than any form takes: some work on text or lists grows with the square of their length.
MAX_CHARACTERS, MAX_ITEMS = 10_000, 100
# Halves of characters (surrogates), which JSON can hold and UTF-8 cannot.
HALVES = re.compile("[\ud800-\udfff]")
MINUTE, DAY, NOTICE = b"lookups/minute", b"lookups/day", b"lookups/notice"
WAITED, FLOOD = b"lookups/waited", b"jobs/flood"
# For the checks of these names; forgotten once they are told.
WEEK_NOTICE, FAILED_NOTICE = b"notice/unusual_lookups", b"notice/failed_lookups"
RATES = ((MINUTE, LOOKUPS_PER_MINUTE), (DAY, LOOKUPS_PER_DAY))
NOTICES = ((NOTICE, UNUSUAL_LOOKUPS), (WEEK_NOTICE, UNUSUAL_LOOKUPS_PER_WEEK))
# All keys that a rate counts, so that a clock error can be found.
COUNTED = (*RATES, (FLOOD, JOBS_RATE))


class Job(IdBase):
    """A request that the web stored for the worker."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(
            "ix_jobs_subscription_id",
            "subscription_id",
            sqlite_where=text("subscription_id IS NOT NULL"),
        ),
    )

    # The `kind` of one of the classes below.
    kind: Mapped[str]
    group_id: Mapped[int | None] = mapped_column(ForeignKey("groups.id"))
    subscription_id: Mapped[int | None] = mapped_column(
        ForeignKey("subscriptions.id", ondelete="CASCADE")
    )
    sealed: Mapped[bytes | None]
    created_at: Mapped[datetime] = mapped_column(default=now, index=True)
    due_at: Mapped[datetime] = mapped_column(default=now, index=True)
    # How often reading it failed.
    failures: Mapped[int] = mapped_column(default=0)


@event.listens_for(Job, "after_insert")
def _note(_mapper: object, _connection: object, job: Job) -> None:
    """Let the log name a job that was stored."""
    if session := object_session(job):
        logs.note(session.info, "job", job.id)


class JobKind:
    """A job without words: its kind, or the row that it names, says all.

    An intruder in the web can write one.
    """

    # Stored: it keeps its spelling forever.
    kind: ClassVar[str]
    # Whether it looks up an address that anyone may have typed.
    looks_up: ClassVar[bool]

    def __init_subclass__(cls, *, kind: str = "", looks_up: bool = False) -> None:
        cls.kind, cls.looks_up = kind, looks_up

    def write(self, session: Session, **columns: Any) -> None:
        """Store the job; the worker does it from `due_at` on."""
        session.add(Job(kind=self.kind, **columns))

    @classmethod
    def open(cls, _opener: "Opener", _job: Job) -> Self:
        return cls()


class SealedJob(JobKind):
    """A job that only the worker can read: a frozen dataclass of text, bool, and lists of them."""

    def ask(self, session: Session, sealer: Sealer, **columns: Any) -> None:
        """Store the job, sealed for its kind; the worker does it from `due_at` on."""
        said = json.dumps(asdict(self)).encode()  # type: ignore[call-overload]
        self.write(session, sealed=sealer.seal(said, sealed_for(self.kind)), **columns)

    @classmethod
    def open(cls, opener: "Opener", job: Job) -> Self:
        """Open a stored job. Raises DecryptionError, or TypeError if it has another form."""
        said = json.loads(opener.open(job.sealed or b"", sealed_for(cls.kind)))
        known = [each for each in fields(cls) if each.name in said]  # type: ignore[arg-type]
        for field in known:
            if not _is_of(said[field.name], field.type):
                raise TypeError(f"{cls.kind}: {field.name}")
        return cls(**{each.name: said[each.name] for each in known})


def _is_of(value: object, form: Any) -> bool:
    """Return whether a value has a field's type, and is not too long; text must be valid UTF-8."""
    if isinstance(value, list):
        is_list = get_origin(form) is list and len(value) <= MAX_ITEMS
        return is_list and all(_is_of(each, *get_args(form)) for each in value)
    if isinstance(value, str) and (len(value) > MAX_CHARACTERS or HALVES.search(value)):
        return False
    return type(value) is form


def remaining_lookups(session: Session, at: datetime) -> int:
    """Return how many jobs that look an address up may be read now."""
    return min(rate_limits.remaining(session, key, rate, at) for key, rate in RATES)


def count_lookups(session: Session, number: int, at: datetime) -> None:
    """Count lookups that are about to be read."""
    if not number:
        return
    for key, rate in (*RATES, *NOTICES):
        rate_limits.record_use(session, key, rate, at, number)


def count_read(session: Session, number: int, at: datetime) -> None:
    """Count jobs of every kind, for the alarm of a flood."""
    if number:
        rate_limits.record_use(session, FLOOD, JOBS_RATE, at, number)


def is_flooded(session: Session, at: datetime) -> bool:
    """Return whether so many jobs arrive that forms are delayed or refused."""
    return not rate_limits.remaining(session, FLOOD, JOBS_RATE, at)


def note_excess(session: Session, at: datetime) -> None:
    """Remember that some lookups had to wait."""
    rate_limits.try_use(session, WAITED, DELAYED_LOOKUPS, at)


def note_failure(session: Session, at: datetime) -> None:
    """Remember that reading a lookup failed."""
    rate_limits.try_use(session, FAILED_NOTICE, NOTICE_RATE, at)


def has_failed(session: Session, at: datetime) -> bool:
    """Return whether reading a lookup failed since the operator was last told."""
    return not rate_limits.remaining(session, FAILED_NOTICE, NOTICE_RATE, at)


def are_unusual(session: Session, at: datetime) -> bool:
    """Return whether there were more lookups than in a usual day or week."""
    return not all(
        rate_limits.remaining(session, key, rate, at)
        for key, rate in (*NOTICES, (WAITED, DELAYED_LOOKUPS))
    )
