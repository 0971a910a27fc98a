"""Registers the worker's functions by kind, through decorators.

`ops.rooms` loads the modules that have one. Nothing else needs to know of a new one.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import compare_digest
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.orm import InstrumentedAttribute, Session

from belong_mail.core import rate_limits
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job, JobKind
from belong_mail.core.rate_limits import NO_WAIT, Rate
from belong_mail.core.retention import Rule
from belong_mail.delivery.mailer import NO_ROWS, Email, Mailer, Rows, post_to_address
from belong_mail.delivery.models import Delivery

V = TypeVar("V")
K = TypeVar("K", bound=JobKind)
Column = InstrumentedAttribute[Any]
# Rows rewrapped in one transaction; and of issues, which may have megabytes.
WRAPPED_ROWS, LARGE_WRAPPED_ROWS = 500, 5


class Refused(Exception):
    """A job ends without effect: not believed, no longer wanted, or over its limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The worker's collaborators: one transaction, the keys, the mailer, and the time."""

    session: Session
    mailer: Mailer
    at: datetime

    @property
    def keys(self) -> Keyring:
        return self.mailer.keys

    def use(self, key: bytes, rate: Rate, most_wait: timedelta = NO_WAIT) -> datetime:
        """Count a use that may happen within a wait, and return when. Raises Refused."""
        may_at = rate_limits.try_use(self.session, key, rate, self.at, most_wait)
        if may_at is None:
            raise Refused
        return may_at

    def use_each(self, uses: Iterable[tuple[bytes, Rate]]) -> None:
        """Count a use of each key; raise Refused, and count nothing, if one is used up."""
        if not rate_limits.try_uses(self.session, uses, self.at):
            raise Refused

    def post(
        self,
        kind: str,
        address: str,
        language: str,
        due_at: datetime | None = None,
        rows: Rows = NO_ROWS,
        **said: Any,
    ) -> None:
        """Queue an email that is fixed now (`mailer.post_to_address`)."""
        post_to_address(self.session, self.keys, kind, address, language, due_at, rows, **said)

    def require_secret(self, use: str, public_id: str, secret: str) -> None:
        """Raise Refused unless the secret of an emailed link has come back."""
        expected = self.keys.index.link_secret(use, public_id)
        if not compare_digest(secret.encode(), expected.encode()):
            raise Refused

    def require_staff(self, address: str) -> None:
        """Raise Refused for an address that isn't staff."""
        if not self.keys.staff.admits(address):
            raise Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWork(Work):
    """The same for a job, with its row, whose columns the web wrote."""

    job: Job


class StillLocked(Exception):
    """A lock kept from a task what it had to change."""


class DeclaredTwice(Exception):
    """There is a function for this kind already."""


class Declared(dict[str, V]):
    """Entries by kind, each declared once."""

    def __setitem__(self, kind: str, what: V) -> None:
        if kind in self:
            raise DeclaredTwice(kind)
        super().__setitem__(kind, what)

    def of(self, *kinds: str) -> Callable[[V], V]:
        """Register a function, as its decorator."""

        def enter(what: V) -> V:
            for kind in kinds:
                self[kind] = what
            return what

        return enter


class WrappedColumn(NamedTuple):
    """A column that is rewrapped when the worker's key changes."""

    column: Column
    # The place of its wrapping, and an expression that names the row.
    place: str
    row: Any
    batch_rows: int = WRAPPED_ROWS


# By kind of delivery: returns the email with its recipient. Raises SkipDelivery.
EMAILS = Declared[Callable[[Session, Mailer, Delivery], Email]]()
# By kind of job.
TASKS = Declared[Callable[[JobWork], None]]()
# The kinds of job that look an address up, which `core.jobs` limits.
LOOKUPS: set[str] = set()
# Run each minute, by the log's words for its failure.
PERIODIC_TASKS = Declared[Callable[[Work], object]]()
# By the name of the deleted rows in `belong purge`.
RETENTION = Declared[Rule]()
# Wrapped columns that are kept for long.
WRAPPED_COLUMNS: list[WrappedColumn] = []
# Other wrapped columns: what they are and when they are deleted, in words for an operator.
SHORT_LIVED = Declared[str]()

writes, each_minute = EMAILS.of, PERIODIC_TASKS.of


def does(job: type[K]) -> Callable[[Callable[[JobWork, K], None]], Callable[[JobWork, K], None]]:
    """Register the function for a kind of job. The job is deleted with it; it may raise Refused."""

    def enter(do: Callable[[JobWork, K], None]) -> Callable[[JobWork, K], None]:
        TASKS[job.kind] = lambda work: do(work, job.open(work.keys.opener, work.job))
        if job.looks_up:
            LOOKUPS.add(job.kind)
        return do

    return enter
