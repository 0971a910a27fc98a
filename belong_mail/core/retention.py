"""How long everything is kept, with the reason for each age; and how old rows are deleted.

The `retention.py` of a room says which rows an age applies to.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, cast

from sqlalchemy import BindParameter, ColumnElement, Date, Select, bindparam, exists, or_, select
from sqlalchemy.orm import Session

from belong_mail.core.db import UtcTime, now

# A request to join that no one confirmed: its link works for three days, and another one may be
# asked for on each of them.
PENDING_CONFIRMATION_AGE = timedelta(days=7)
# The same for people on an imported list: they did not ask, so no longer than their link works.
INVITED_AGE = timedelta(hours=72)
# An imported list that was never started; and one that was, with what the relay's limits left
# unasked.
UNSTARTED_IMPORT_AGE = timedelta(days=1)
IMPORT_AGE = timedelta(days=30)
# A membership that has ended: one that bounces ended can be restored until then.
ENDED_AGE = timedelta(days=30)
# An unconfirmed change of address or of a group's mailbox: as long as a request to join.
ADDRESS_CHANGE_AGE = timedelta(days=7)
# A request to be notified when a group starts: it was a wish of this year, and holds the address of
# someone who is not a member.
WAITLIST_AGE = timedelta(days=365)
# An invitation to lead that nobody accepted: its link works for a week.
INVITATION_AGE = timedelta(days=8)
# Sign-in links and sessions: they stop working after ten minutes and after twelve hours.
SESSION_AGE = timedelta(days=1)
# The record of a single email that has ended, and a message to the office or to leads after it was
# sent: a bounce may come late, and an operator may be asked what became of it.
DELIVERY_AGE = timedelta(days=30)
# The record of a copy of a newsletter; afterwards its issue has only the numbers. A full mailbox at
# each of five issues in a year ends a membership, so all five must still be known.
COPY_AGE = timedelta(days=400)
# Recipient and words of such an email: it may bounce at once, and an operator looks on the same
# day.
ARGUMENTS_AGE = timedelta(days=1)
# Returned messages, in the mailbox's folder of read ones: an operator may look at them for days.
# And keyed hashes of messages that were read: as long as the record that one could be about.
READ_MAIL_AGE = timedelta(days=7)
INBOUND_DIGEST_AGE = DELIVERY_AGE
# How far such a mailbox was read, after the last attempt: it is no longer in use.
UNTRIED_MAILBOX_AGE = timedelta(days=1)
# A reminder of a day's meeting: so that no one is reminded twice.
REMINDER_AGE = timedelta(days=30)
# A thread that a receipt code opens, after its last message: as long as any message to the office.
THREAD_MAX_AGE = timedelta(days=30)
# A meeting after its last day, or after it was canceled: calendars may still fetch the change.
MEETING_AGE = timedelta(days=90)
# An entry of the audit trail: a question about last school year can still be answered. A trigger of
# SQLite, made by step 1.0, has the same number of days.
AUDIT_AGE = timedelta(days=730)
# A job that could not be read, after it was due: an operator has a week to restore the key.
UNREADABLE_AGE = timedelta(days=7)
# How many messages left in each minute: the relay's daily quota is counted from them.
SENT_PER_MINUTE_AGE = timedelta(days=2)
# Rows with an end of their own: the list behind a “my groups” link.
NO_AGE = timedelta(0)
# Rows deleted at a time, so that no one waits long for that transaction.
BATCH_ROWS = 500
# Conditions for the rows that are too old at a time.
Which = Callable[[datetime], tuple[ColumnElement[bool], ...]]


@dataclass(frozen=True, slots=True)
class Rule:
    """Deletes some rows of one kind; skipped while its models have no such rows."""

    # Returns how many; BATCH_ROWS means there may be more.
    remove: Callable[[Session, datetime], int]
    rows: tuple[tuple[Any, Which], ...]

    def __call__(self, session: Session, at: datetime | None = None) -> int:
        return self.remove(session, at or now())


def in_batches(statement: Any, which: Which) -> Rule:
    """Return a rule that runs an UPDATE or DELETE on a model whose primary key is `id`."""
    model = statement.entity_description["entity"]
    return Rule(partial(_apply_to_batch, statement, which), ((model, which),))


def older_than(column: Any, age: timedelta) -> Which:
    return lambda at: (column < at - age,)


def due(session: Session, rules: Iterable[Rule]) -> set[Rule]:
    """Return the rules that have something to do, asking about all in one statement."""
    asked = tuple(rules)
    answers = session.connection().execute(_question(asked)).one() if asked else ()
    return {rule for rule, is_due in zip(asked, answers, strict=True) if is_due}


@cache
def _question(rules: tuple[Rule, ...]) -> Select[Any]:
    """Build the statement once: building takes longer than running it."""
    at = cast("datetime", _WhenRun())
    questions: list[Any] = [
        or_(*(exists().select_from(model).where(*which(at)) for model, which in rule.rows))
        for rule in rules
    ]
    return select(*questions)


@dataclass(frozen=True, slots=True)
class _WhenRun:
    """Placeholder for the time of a run, or a time before it."""

    age: timedelta = NO_AGE

    def __sub__(self, age: timedelta) -> "_WhenRun":
        return _WhenRun(self.age + age)

    def __clause_element__(self) -> BindParameter[datetime]:
        return bindparam(None, callable_=self._moment, type_=UtcTime())

    def timestamp(self) -> BindParameter[Any]:
        return bindparam(None, callable_=lambda: datetime.timestamp(self._moment()))

    def date(self) -> BindParameter[Any]:
        return bindparam(None, callable_=lambda: datetime.date(self._moment()), type_=Date())

    def _moment(self) -> datetime:
        return now() - self.age


def _apply_to_batch(statement: Any, which: Which, session: Session, at: datetime) -> int:
    """Run a statement on the first matching rows, skipping those that another worker has locked."""
    model = statement.entity_description["entity"]
    found = select(model.id).where(*which(at)).limit(BATCH_ROWS).with_for_update(skip_locked=True)
    ids = list(session.scalars(found))
    if ids:
        some = statement.where(model.id.in_(ids))
        session.execute(some.execution_options(synchronize_session=False))
    return len(ids)
