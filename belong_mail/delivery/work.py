"""Register the worker's functions by kind, through decorators."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from belong_mail.core import rate_limits
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job, JobKind
from belong_mail.core.rate_limits import NO_WAIT, Rate
from belong_mail.core.retention import Rule
from belong_mail.core.services import Settings
from belong_mail.core.tokens import Purpose
from belong_mail.delivery import suppressions
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import (
    NO_ROWS,
    Email,
    Mailer,
    Rows,
    post_to_address,
    read_posted,
)
from belong_mail.delivery.models import Delivery, State
from belong_mail.mail.address import normalise

V = TypeVar("V")
K = TypeVar("K", bound=JobKind)
T = TypeVar("T", bound="Callable[[Work], object]")
ALWAYS: ColumnElement[bool] = true()
Column = InstrumentedAttribute[Any]
# Rows rewrapped in one transaction; fewer of issues, whose rows may have megabytes.
WRAPPED_ROWS, LARGE_WRAPPED_ROWS = 500, 5


class Refused(Exception):
    """The job has no effect: it is not authentic, no longer wanted, or over a limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A task's collaborators: one transaction, the mailer, its keys and settings, and the time."""

    session: Session
    mailer: Mailer
    at: datetime

    @property
    def keys(self) -> Keyring:
        return self.mailer.keys

    @property
    def settings(self) -> Settings:
        return self.mailer.settings

    def use(self, key: bytes, rate: Rate, most_wait: timedelta = NO_WAIT) -> datetime:
        """Count a use of a rate limit; return when it may happen, or raise Refused."""
        may_at = rate_limits.try_use(self.session, key, rate, self.at, most_wait)
        if may_at is None:
            raise Refused
        return may_at

    def use_each(self, uses: Iterable[tuple[bytes, Rate]]) -> None:
        """Count one use of each rate limit; raise Refused, and count nothing, if any is used up."""
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
        """Queue an email whose arguments are stored now, as `mailer.post_to_address` does."""
        post_to_address(self.session, self.keys, kind, address, language, due_at, rows, **said)

    def require_staff(self, address: str) -> None:
        """Raise Refused unless the address may join as staff."""
        if not self.settings.staff.admits(address):
            raise Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWork(Work):
    """The collaborators of a job's task, with the job's row, which the web wrote."""

    job: Job


class StillLocked(Exception):
    """A lock on a row kept the task from finishing."""


class DeclaredTwice(Exception):
    """Two functions were registered for one kind."""


class Declared(dict[str, V]):
    """A registry of entries by kind, which refuses a second entry."""

    def __setitem__(self, kind: str, what: V) -> None:
        if kind in self:
            raise DeclaredTwice(kind)
        super().__setitem__(kind, what)

    def of(self, *kinds: str) -> Callable[[V], V]:
        """Return a decorator that registers a function for these kinds."""

        def enter(what: V) -> V:
            for kind in kinds:
                self[kind] = what
            return what

        return enter


class WrappedColumn(NamedTuple):
    """A column that is encrypted again when the worker's key changes."""

    column: Column
    # Its associated data: the column's name, and an expression that names the row.
    place: str
    row: Any
    batch_rows: int = WRAPPED_ROWS


# Functions that return an email with its recipient, by kind of delivery. They raise SkipDelivery.
EMAILS = Declared[Callable[[Session, Mailer, Delivery], Email]]()
# Functions that do a job, by its kind.
TASKS = Declared[Callable[[JobWork], None]]()
# The kinds of job that look up an address, which `core.jobs` limits.
LOOKUPS: set[str] = set()
# Functions to run each minute, by the text that is logged when one fails, each with the condition
# under which it may have something to do. One query asks for all of them.
PERIODIC_TASKS = Declared[tuple[Callable[[Work], object], ColumnElement[bool]]]()
# Rules of deletion, by the name that `belong purge` prints.
RETENTION = Declared[Rule]()
# Encrypted columns that are kept for long, and so rewrapped by `keys rotate`.
WRAPPED_COLUMNS: list[WrappedColumn] = []

writes = EMAILS.of


def each_minute(complaint: str, is_due: ColumnElement[bool] = ALWAYS) -> Callable[[T], T]:
    """Return a decorator that registers a function to run each minute in which it is due."""

    def enter(do: T) -> T:
        PERIODIC_TASKS[complaint] = do, is_due
        return do

    return enter


def as_posted(_session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Return an email exactly as `post_to_address` fixed it."""
    to, said = read_posted(mailer.keys.opener, delivery)
    return Email(to, said["language"], said)


def unless_suppressed(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Do as `as_posted`, but raise SkipDelivery if the recipient wants no email."""
    letter = as_posted(session, mailer, delivery)
    if suppressions.is_suppressed(session, mailer.keys.index, normalise(letter.to)):
        raise SkipDelivery(State.SUPPRESSED)
    return letter


def with_link(
    mailer: Mailer, letter: Email, endpoint: str, purpose: Purpose, at: datetime, secret: str = ""
) -> Email:
    """Add a link that is valid from `at` on, and its expiry; `secret` is by default the email's."""
    secret = secret or letter.context["secret"]
    url = mailer.links.signed(endpoint, purpose, secret, at, letter.language)
    return letter.saying(url=url, expires=at + timedelta(seconds=purpose.max_age or 0))


def does(job: type[K]) -> Callable[[Callable[[JobWork, K], None]], Callable[[JobWork, K], None]]:
    """Register a job's function, which may raise Refused; its transaction deletes the job."""

    def enter(do: Callable[[JobWork, K], None]) -> Callable[[JobWork, K], None]:
        TASKS[job.kind] = lambda work: do(work, job.open(work.keys.opener, work.job))
        if job.looks_up:
            LOOKUPS.add(job.kind)
        return do

    return enter
