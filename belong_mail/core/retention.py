"""How long everything is kept: every age, with its reason; and how old rows are removed.

The `retention.py` of a room says to which rows an age applies.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, cast

from sqlalchemy import BindParameter, ColumnElement, Date, Select, bindparam, exists, or_, select
from sqlalchemy.orm import Session

from belong_mail.core.db import UtcTime, now

# A request to join that nobody confirmed: its link works for three days, and a further one may be
# asked for on each of them.
PENDING_CONFIRMATION_AGE = timedelta(days=7)
# The same for people on a list that the office moved here: they did not ask, so it is as long as
# their link works, and no longer.
INVITED_AGE = timedelta(hours=72)
# A list of addresses that the office brought: one that it never started, and one that it did, with
# what the relay's limits have left unasked.
UNSTARTED_IMPORT_AGE = timedelta(days=1)
IMPORT_AGE = timedelta(days=30)
# A membership that has ended: until then one that ended because mail came back can be restored.
ENDED_AGE = timedelta(days=30)
# A change of address, or of a group's mailbox, that nobody confirmed: as long as a request to join.
ADDRESS_CHANGE_AGE = timedelta(days=7)
# A note to be told when a group starts, from the day on which it was left: it is a wish of this
# year, and names an address of somebody who is no member.
WAITLIST_AGE = timedelta(days=365)
# An invitation to lead that nobody accepted: its link works for a week.
INVITATION_AGE = timedelta(days=8)
# Sign-in links and sessions: they are useless after ten minutes and after twelve hours.
SESSION_AGE = timedelta(days=1)
# The record of a single mail that has ended, and a message to the office or to leads after it was
# mailed: a bounce may come late, and an operator may be asked what became of it.
DELIVERY_AGE = timedelta(days=30)
# The record of a copy of a newsletter; from then on its issue has the numbers alone. A mailbox that
# is full at each of five issues in a year ends a membership, so all five must still be known.
COPY_AGE = timedelta(days=400)
# Recipient and own words of such an email, such as a link: it may come back at once, and an
# operator who is asked looks on the same day.
ARGUMENTS_AGE = timedelta(days=1)
# Returned messages, in the mailbox's folder for what was read: an operator who wonders looks within
# days. And keyed hashes of those that we have read: as long as the record that one could be about.
READ_MAIL_AGE = timedelta(days=7)
INBOUND_DIGEST_AGE = DELIVERY_AGE
# How far such a mailbox is read, after the last try: it is another one by now, or none.
UNTRIED_MAILBOX_AGE = timedelta(days=1)
# A reminder of a day's meeting: nobody is reminded twice.
REMINDER_AGE = timedelta(days=30)
# A thread that a receipt code opens, after its last message: as long as any message to the office.
THREAD_MAX_AGE = timedelta(days=30)
# A meeting after its last day, or after it was cancelled: so long calendars can still hear of it.
MEETING_AGE = timedelta(days=90)
# An entry of the audit trail: a question about last school year still finds it. A trigger of
# SQLite, made by step 1.0, knows the same number of days.
AUDIT_AGE = timedelta(days=730)
# A job that could not be read, after it was due: an operator has a week to put the key back.
UNREADABLE_AGE = timedelta(days=7)
# How many messages left in each minute: the relay's day is counted from them.
SENT_PER_MINUTE_AGE = timedelta(days=2)
# Rows that have an end of their own: the list behind a “my groups” link.
NO_AGE = timedelta(0)
# Rows of a kind that go at a time, so that nobody waits for that transaction for long.
BATCH_ROWS = 500
# Conditions for the rows that are over at a time.
Which = Callable[[datetime], tuple[ColumnElement[bool], ...]]


@dataclass(frozen=True, slots=True)
class Rule:
    """Removes some of one kind of rows; it has nothing to do while no model has such rows."""

    # Returns how many, of which BATCH_ROWS says: look again.
    remove: Callable[[Session, datetime], int]
    rows: tuple[tuple[Any, Which], ...]

    def __call__(self, session: Session, at: datetime | None = None) -> int:
        return self.remove(session, at or now())


def in_batches(statement: Any, which: Which) -> Rule:
    """Make a rule of an UPDATE or DELETE of a model whose primary key is `id`."""
    model = statement.entity_description["entity"]
    return Rule(partial(_apply_to_batch, statement, which), ((model, which),))


def older_than(column: Any, age: timedelta) -> Which:
    return lambda at: (column < at - age,)


def due(session: Session, rules: Iterable[Rule]) -> set[Rule]:
    """Return the rules that have something to do; all are asked about in one statement."""
    asked = tuple(rules)
    answers = session.connection().execute(_question(asked)).one() if asked else ()
    return {rule for rule, is_due in zip(asked, answers, strict=True) if is_due}


@cache
def _question(rules: tuple[Rule, ...]) -> Select[Any]:
    """Make the statement once: putting it together takes longer than its answer."""
    at = cast("datetime", _WhenRun())
    questions: list[Any] = [
        or_(*(exists().select_from(model).where(*which(at)) for model, which in rule.rows))
        for rule in rules
    ]
    return select(*questions)


@dataclass(frozen=True, slots=True)
class _WhenRun:
    """Placeholder for `at`, or a time before it, that each run fills in."""

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
    """Let a statement act on the first rows of those; rows of another worker are left for now."""
    model = statement.entity_description["entity"]
    found = select(model.id).where(*which(at)).limit(BATCH_ROWS).with_for_update(skip_locked=True)
    ids = list(session.scalars(found))
    if ids:
        some = statement.where(model.id.in_(ids))
        session.execute(some.execution_options(synchronize_session=False))
    return len(ids)
