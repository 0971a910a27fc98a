"""Jobs: what the web seals for the worker to read. Each kind is a dataclass of a room's `jobs.py`.

How many of those that look an address up are read is limited, so that nobody can test a list:
whoever breaks into the web and may write can seal guesses, and see in the database which of them
are known. The worker reads no more than people could mean; the rest waits its turn.
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
)

if TYPE_CHECKING:
    from belong_mail.core.decryption import Opener

# After so many failures a job is left for the operator.
MAX_FAILURES = 3
# Surrogates, which JSON can write alone.
HALVES = re.compile("[\ud800-\udfff]")
MINUTE, DAY, NOTICE = b"lookups/minute", b"lookups/day", b"lookups/notice"
WAITED, FLOOD = b"lookups/waited", b"jobs/flood"
# Of the check `failed_lookups`; forgotten once it is told.
FAILED_NOTICE = b"notice/failed_lookups"
RATES = ((MINUTE, LOOKUPS_PER_MINUTE), (DAY, LOOKUPS_PER_DAY))
# All that is counted by a rate, so that an error of a clock is found.
COUNTED = (*RATES, (FLOOD, JOBS_RATE))


class Job(IdBase):
    """Something a visitor asked for, written down by the blind web for the worker to read."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(
            "ix_jobs_subscription_id",
            "subscription_id",
            sqlite_where=text("subscription_id IS NOT NULL"),
        ),
    )

    # The `kind` of a class below.
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
    """Have the log name a job that was written down."""
    if session := object_session(job):
        logs.note(session.info, "job", job.id)


class JobKind:
    """A job without words: its kind, or the row that it names, says all.

    An intruder in the web can write one.
    """

    # Stored: it keeps its spelling forever.
    kind: ClassVar[str]
    # Whether it looks an address up that anyone may have typed.
    looks_up: ClassVar[bool]

    def __init_subclass__(cls, *, kind: str = "", looks_up: bool = False) -> None:
        cls.kind, cls.looks_up = kind, looks_up

    def write(self, session: Session, **columns: Any) -> None:
        """Write the job down; the worker does it, not before `due_at`."""
        session.add(Job(kind=self.kind, **columns))

    @classmethod
    def open(cls, _opener: "Opener", _job: Job) -> Self:
        return cls()


class SealedJob(JobKind):
    """A job with words that the worker alone can read: a frozen dataclass of text, yes and no."""

    def ask(self, session: Session, sealer: Sealer, **columns: Any) -> None:
        """Write the job down, sealed for its kind; the worker does it, not before `due_at`."""
        said = json.dumps(asdict(self)).encode()  # type: ignore[call-overload]
        self.write(session, sealed=sealer.seal(said, sealed_for(self.kind)), **columns)

    @classmethod
    def open(cls, opener: "Opener", job: Job) -> Self:
        """Return what was sealed; raise DecryptionError, or TypeError for another form."""
        said = json.loads(opener.open(job.sealed or b"", sealed_for(cls.kind)))
        known = [each for each in fields(cls) if each.name in said]  # type: ignore[arg-type]
        for field in known:
            if not _is_of(said[field.name], field.type):
                raise TypeError(f"{cls.kind}: {field.name}")
        return cls(**{each.name: said[each.name] for each in known})


def _is_of(value: object, form: Any) -> bool:
    """Tell whether a value has a field's type; text must be valid UTF-8."""
    if get_origin(form) is list:
        return type(value) is list and all(_is_of(each, *get_args(form)) for each in value)
    return type(value) is form and not (isinstance(value, str) and HALVES.search(value))


def remaining_lookups(session: Session, at: datetime) -> int:
    """Return how many such requests may be read now."""
    return min(rate_limits.remaining(session, key, rate, at) for key, rate in RATES)


def count_lookups(session: Session, number: int, at: datetime) -> None:
    """Count requests that are about to be read."""
    if not number:
        return
    for key, rate in (*RATES, (NOTICE, UNUSUAL_LOOKUPS)):
        rate_limits.record_use(session, key, rate, at, number)


def count_read(session: Session, number: int, at: datetime) -> None:
    """Count what people asked for, whatever it is, for the alarm of a flood."""
    if number:
        rate_limits.record_use(session, FLOOD, JOBS_RATE, at, number)


def is_flooded(session: Session, at: datetime) -> bool:
    """Tell whether requests come in such numbers that forms are put off or refused."""
    return not rate_limits.remaining(session, FLOOD, JOBS_RATE, at)


def note_excess(session: Session, at: datetime) -> None:
    """Remember that some had to wait."""
    rate_limits.try_use(session, WAITED, DELAYED_LOOKUPS, at)


def note_failure(session: Session, at: datetime) -> None:
    """Remember that reading one of them failed."""
    rate_limits.try_use(session, FAILED_NOTICE, NOTICE_RATE, at)


def has_failed(session: Session, at: datetime) -> bool:
    """Tell whether reading one failed since the operator was last told so."""
    return not rate_limits.remaining(session, FAILED_NOTICE, NOTICE_RATE, at)


def are_unusual(session: Session, at: datetime) -> bool:
    """Tell whether there are, or were within the hour, more than people send on a usual day."""
    return not all(
        rate_limits.remaining(session, key, rate, at)
        for key, rate in ((NOTICE, UNUSUAL_LOOKUPS), (WAITED, DELAYED_LOOKUPS))
    )
