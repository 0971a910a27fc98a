"""Jobs: requests that the web seals for the worker. Each kind is a dataclass in a `jobs.py`.

Jobs that look up an address are rate-limited: otherwise an intruder in the web could seal a list of
guesses and see in the database which are members. The worker reads no more of them than people
could send; the others wait.
"""

import json
import re
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_args, get_origin

from sqlalchemy import ForeignKey, Index, bindparam, event, or_, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column, object_session

from belong_mail.core import audit, logs, rate_limits
from belong_mail.core.db import IdBase, now
from belong_mail.core.encryption import Sealer, sealed_for
from belong_mail.core.rate_limits import (
    DELAYED_LOOKUPS,
    JOBS_RATE,
    LOOKUPS_PER_DAY,
    LOOKUPS_PER_MINUTE,
    NOTICE_RATE,
    UNUSUAL_LOOKUPS,
    is_used_up,
)

if TYPE_CHECKING:
    from belong_mail.core.decryption import Opener

# After so many failures a job is left for an operator.
MAX_FAILURES = 3
# More than any form allows; some code takes quadratic time in the length of text or lists.
MAX_CHARACTERS, MAX_ITEMS = 10_000, 100
# Surrogates, which JSON can contain and UTF-8 cannot.
HALVES = re.compile("[\ud800-\udfff]")
MINUTE, DAY = b"lookups/minute", b"lookups/day"
WAITED, FLOOD = b"lookups/waited", b"jobs/flood"
# Noted for the checks of these names, and cleared once the operator is told.
NOTICE, FAILED_NOTICE = b"notice/unusual_lookups", b"notice/failed_lookups"
RATES = ((MINUTE, LOOKUPS_PER_MINUTE), (DAY, LOOKUPS_PER_DAY))
# All keys with their rates, so that rows from a clock that ran ahead can be found.
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
    # Failed attempts to read it.
    failures: Mapped[int] = mapped_column(default=0)


IS_DUE = Job.due_at <= bindparam("at"), Job.failures < MAX_FAILURES


@event.listens_for(Job, "after_insert")
def _note(_mapper: object, _connection: object, job: Job) -> None:
    """Note the id of a stored job, for the log line after the commit."""
    if session := object_session(job):
        logs.note(session.info, "job", job.id)


class JobKind:
    """A kind of job without sealed arguments: its kind, or the row that it names, is enough.

    The web can create one, so it must not be trusted with more than the web may do.
    """

    # Stored: it keeps its spelling forever.
    kind: ClassVar[str]
    # Whether it looks up an address that anyone could have typed.
    looks_up: ClassVar[bool]
    # The kind of audit entry of who asks, if the asking alone is one.
    recorded: ClassVar[audit.Kind | None]

    def __init_subclass__(
        cls, *, kind: str = "", looks_up: bool = False, recorded: audit.Kind | None = None
    ) -> None:
        cls.kind, cls.looks_up, cls.recorded = kind, looks_up, recorded

    def write(self, session: Session, **columns: Any) -> None:
        """Store the job, due at `due_at` or at once, and the audit entry of `recorded`."""
        if self.recorded:
            audit.record(session, self.recorded)
        session.add(Job(kind=self.kind, **columns))

    @classmethod
    def open(cls, _opener: "Opener", _job: Job) -> Self:
        return cls()


class SealedJob(JobKind):
    """A kind of job with sealed arguments: a frozen dataclass of str, bool, and lists of them."""

    def ask(self, session: Session, sealer: Sealer, **columns: Any) -> None:
        """Store the job, sealed for its kind and due at `due_at` or at once."""
        said = json.dumps(asdict(self)).encode()  # type: ignore[call-overload]
        self.write(session, sealed=sealer.seal(said, sealed_for(self.kind)), **columns)

    @classmethod
    def open(cls, opener: "Opener", job: Job) -> Self:
        """Open a stored job. Raises DecryptionError, or TypeError for a field of another type."""
        said = json.loads(opener.open(job.sealed or b"", sealed_for(cls.kind)))
        known = [each for each in fields(cls) if each.name in said]  # type: ignore[arg-type]
        for field in known:
            if not _is_of(said[field.name], field.type):
                raise TypeError(f"{cls.kind}: {field.name}")
        return cls(**{each.name: said[each.name] for each in known})


def _is_of(value: object, form: Any) -> bool:
    """Return whether a value has a field's type and an allowed length, and no surrogates."""
    if isinstance(value, list):
        is_list = get_origin(form) is list and len(value) <= MAX_ITEMS
        return is_list and all(_is_of(each, *get_args(form)) for each in value)
    if isinstance(value, str) and (len(value) > MAX_CHARACTERS or HALVES.search(value)):
        return False
    return type(value) is form


def remaining_lookups(session: Session, at: datetime) -> int:
    """Return how many jobs that look up an address may be read now."""
    return min(rate_limits.remaining(session, key, rate, at) for key, rate in RATES)


def count_lookups(session: Session, number: int, at: datetime) -> None:
    """Count jobs that look up an address, before they are read."""
    if number:
        rate_limits.record_uses(session, (*RATES, (NOTICE, UNUSUAL_LOOKUPS)), at, number)


def count_read(session: Session, number: int, at: datetime) -> None:
    """Count jobs of any kind, for the alarm about a flood."""
    if number:
        rate_limits.record_use(session, FLOOD, JOBS_RATE, at, number)


def note_excess(session: Session, at: datetime) -> None:
    """Note that lookups had to wait because of the limits."""
    rate_limits.try_use(session, WAITED, DELAYED_LOOKUPS, at)


def note_failure(session: Session, at: datetime) -> None:
    """Note that a lookup could not be read."""
    rate_limits.try_use(session, FAILED_NOTICE, NOTICE_RATE, at)


# Whether more jobs arrive than JOBS_RATE.
IS_FLOODED = select(is_used_up(FLOOD, JOBS_RATE))
# Whether a lookup could not be read since the operator was last told.
HAS_FAILED = select(is_used_up(FAILED_NOTICE, NOTICE_RATE))
# Whether there were more lookups than people send.
ARE_UNUSUAL = select(or_(is_used_up(NOTICE, UNUSUAL_LOOKUPS), is_used_up(WAITED, DELAYED_LOOKUPS)))
