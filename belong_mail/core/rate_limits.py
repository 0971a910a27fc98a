"""Rate limits, each with its reason, counted in the database by one upsert each.

The algorithm is GCRA (generic cell rate): a row has the time until which its key's allowance is
used up. `record_use` counts every use and returns when it may happen. `try_use` refuses a use that
would wait too long, without counting it; it is for limits that strangers could use up.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from math import inf

from sqlalchemy import ColumnElement, Float, bindparam, case, delete, exists, func, literal, select
from sqlalchemy import table as table_named
from sqlalchemy.orm import Mapped, Session, mapped_column

from belong_mail.core.db import Base, ahead, dialect_insert
from belong_mail.core.statements import CompiledStatement, run_together

# How long an email may wait at most for a rate limit that is used up.
NO_WAIT, MAX_WAIT = timedelta(0), timedelta(days=1)
# Rounding error of Unix times as floats.
ROUNDING_SECONDS = 1e-3


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of uses at once, and as many again in each period."""

    burst: int
    per: timedelta


HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Forms, counted by the web before they reach the worker.

# One source sends 30 at once, then one each 20 seconds. A stranger who types others' addresses
# emails few of them soon, and an honest person at a busy source waits for seconds.
SOURCE_RATE = Rate(30, timedelta(minutes=10))
# The same for the district's own networks: a whole staff meeting may sign up at one moment.
TRUSTED_SOURCE_RATE = Rate(300, timedelta(minutes=15))
# All forms of strangers, from everywhere: this stops a flood from many sources.
ALL_FORMS = b"forms"
ALL_FORMS_RATE = Rate(6000, HOUR)
# Requests that may wait for the worker: more would wait longer than a person does.
MAX_WAITING_JOBS = 20_000
# Jobs of any kind; beyond this the operator is told of a flood.
JOBS_RATE = Rate(3_000, HOUR)
# When so many wait, each source has a tenth of its limit, so that a few cannot fill the rest.
BUSY_WAITING_JOBS = MAX_WAITING_JOBS // 2
BUSY_PART = 10
# Jobs that look an address up: an intruder in the web can seal guesses, and see in the database
# which of them are known.

# A staff meeting of 300 that signs up at one moment, and some strangers' forms: nobody waits.
LOOKUPS_PER_MINUTE = Rate(400, timedelta(minutes=1))
# More than half of a district of 15,000 on the day a group starts.
LOOKUPS_PER_DAY = Rate(10_000, DAY)
# Beyond this the operator is told: a thousand at once, as when a group is announced, and a hundred
# a day for ever. A district of 15,000 sends some 70 a day. Restarts from zero once told.
UNUSUAL_LOOKUPS = Rate(1_000, timedelta(days=10))
# How long to remember that lookups had to wait, for the operator's next check.
DELAYED_LOOKUPS = Rate(1, HOUR)
# Reports matched by Message-ID, as a relay rewrote the return path: forged ones could test whom we
# wrote to. The second rate is for one message, about which servers send a few.
REPORTS_RATE = Rate(1_000, DAY)
SAME_MESSAGE_REPORTS_RATE = Rate(5, DAY)
# Confirmations: anyone may type anyone's address.

# For one address and group: two at once, then one a day, if the first one was lost.
CONFIRM_MEMBER_RATE = Rate(2, timedelta(days=2))
# For one address over all groups: one for each group, then three a day.
CONFIRM_PERSON_RATE = Rate(10, timedelta(hours=80))
# The two above count one source. These count all sources, and allow a little more, so that one
# stranger does not use up what the person asks for elsewhere; they delay no one by more than a day.
CONFIRM_MEMBER_RATE_ALL_SOURCES = Rate(4, timedelta(days=4))
CONFIRM_PERSON_RATE_ALL_SOURCES = Rate(24, timedelta(hours=192))
# A form that is sent twice within this time causes one email.
CONFIRMATION_GAP = timedelta(minutes=15)
CONFIRMATION_GAP_RATE = Rate(1, CONFIRMATION_GAP)
# Links to sign in, for one account; the email also shows its owner that someone tries. Each rate
# allows the next link when the last one expires, after ten minutes: so everyone who asks gets one,
# or can use the newest.

# For one unknown browser, for one source, and for all unknown browsers together, so that a stranger
# never uses up all of them.
SIGN_IN_BROWSER_RATE = Rate(3, timedelta(minutes=30))
SIGN_IN_SOURCE_RATE = Rate(4, timedelta(minutes=40))
SIGN_IN_STRANGERS_RATE = Rate(6, HOUR)
# For one known browser, and for all known browsers together: strangers cannot use these up.
SIGN_IN_KNOWN_BROWSER_RATE = Rate(5, timedelta(minutes=50))
SIGN_IN_KNOWN_BROWSERS_RATE = Rate(10, HOUR)
# One request to the identity provider: it is used once, and expires before this.
ROUND_TRIP_RATE = Rate(1, timedelta(minutes=11))
# One challenge for a passkey: it is used once, and expires before this.
CHALLENGE_RATE = Rate(1, timedelta(minutes=6))
# Emails to an account's owner that its passkeys have changed. Only the worker counts.
PASSKEY_CHANGED_RATE = Rate(20, DAY)
# Switches of one account, and of all accounts, back to emailed links: each notifies several people.
# Only the worker counts.
LET_IN_RATE = Rate(3, DAY)
LET_INS_RATE = Rate(100, DAY)
# Audit entries of an account's refused sign-ins, for one reason: a stranger must not fill the
# trail.
SIGN_IN_REFUSED_RATE = Rate(1, HOUR)
# Self-service, for one address.

# Links to “My groups”, which work for half an hour. Staff in no group get as many emails, so that
# their number shows no one who is in one.
MY_GROUPS_RATE = Rate(5, HOUR)
# Links that lift “never email me”: the only email that a suppressed address gets.
EMAIL_AGAIN_RATE = Rate(1, timedelta(days=7))
# A used link, for as long as it works, so that its page can say “done”.
USED_LINK_RATE = Rate(1, timedelta(hours=72))
# Copies of a member's own data, which name every group.
COPY_RATE = Rate(3, DAY)
# Emails to one new address. They use none of its owner's confirmations. One that would wait longer
# is not sent: an earlier link still works.
CHANGE_ADDRESS_RATE = Rate(3, DAY)
# Codes that prove staff, for personal addresses. Only the worker counts, always as of the end of
# the day (UTC), so that no time is stored beside a keyed hash of a staff address.

# To one staff address from one source: codes for a few groups, or after typing mistakes.
STAFF_CODE_SOURCE_RATE = Rate(4, DAY)
# From all sources: how many personal addresses one staff member can add in a day.
STAFF_CODE_RATE = Rate(10, DAY)
# Uses of one code. Two days, because a use is counted as of the end of the day.
STAFF_CODE_USED_RATE = Rate(1, timedelta(days=2))
# Emails that leads and the office cause.

# Emails of one group to one address. They use none of its owner's confirmations; a proposal that
# would wait longer is dropped.
MAILBOX_RATE = Rate(10, DAY)
# Test copies for one leader; and test copies and requests for approval to a group's other leaders.
TEST_RATE = Rate(20, HOUR)
TO_COLLEAGUES_RATE = Rate(6, HOUR)
# Emails about newsletters that the web can cause to one leader: tests, requests for approval, acts
# of the office. Honest pages ask for fewer. Only the worker counts.
ASKED_OF_LEADERS_RATE = Rate(120, HOUR)
# Emails that ask what to do with one held or paused newsletter.
HELD_RATE = Rate(6, HOUR)
# Acknowledgements of messages to the office, for one address, which anyone may have typed.
ACKNOWLEDGEMENT_RATE = Rate(1, DAY)
# Undelivered messages that are sent again: a full inbox takes time to empty.
RESEND_RATE = Rate(1, timedelta(minutes=10))
# All invitations by the office: enough for the start of a school year, too few for an intruder in
# the web to flood staff. Only the worker counts.
INVITATIONS_RATE = Rate(40, DAY)
# Repeated invitations of one account.
SAME_INVITATION_RATE = Rate(3, DAY)
# Emails that the office ended a right; more would hide those about new rights, which are unlimited.
RIGHTS_CHANGED_RATE = Rate(100, DAY)
# “Try sending now”: a relay that is down is not tried more often.
RETRY_RATE = Rate(1, timedelta(minutes=5))
# Addresses that the office removes, bars or lets in again: enough for a day, and too few for an
# intruder in the web to test guesses.
REMOVAL_RATE = Rate(20, DAY)
# People of an imported list who are asked to join. Newsletters may be faster, sign-ups have their
# own rates, and an intruder in the web can test no more guesses by importing than by signing up.
IMPORT_MINUTE_RATE = Rate(60, timedelta(minutes=1))
IMPORT_DAY_RATE = Rate(10_000, DAY)
# Questions to one person about one group, from any file, until the answer is due.
IMPORT_AGAIN_RATE = Rate(1, timedelta(hours=72))
# Questions to one person about all groups, so that no series of files keeps asking.
IMPORT_PERSON_RATE = Rate(3, timedelta(hours=72))
# Alarms for the operator.

# Emails about an alarm that stays on.
ALERT_RATE = Rate(1, timedelta(hours=6))
# How long an event is remembered for the operator's next check.
NOTICE_RATE = Rate(1, DAY)
# How long bounces caused by our own setup are remembered.
OUR_FAULT_RATE = Rate(1, HOUR)
# Addresses reported unknown; beyond this, reports are ignored for a while (Gmail, December 2020).
BOUNCE_BREAKER_RATE = Rate(19, HOUR)
# Such reports about one membership: anyone can have their own emails reported.
BOUNCE_MEMBER_RATE = Rate(1, HOUR)
# No limit: counting only locks the key's row until the transaction ends.
LOCKING_RATE = Rate(1, NO_WAIT)


def busy_rate(rate: Rate) -> Rate:
    """Return a source's rate while too many requests wait for the worker."""
    return Rate(rate.burst // BUSY_PART, rate.per)


class Limit(Base):
    """Counts of the web: sources, forms, challenges, used links."""

    __tablename__ = "limits"

    # Keyed hash of what is limited; it cannot be reversed.
    key: Mapped[bytes] = mapped_column(primary_key=True)
    # Seconds since 1970.
    used_until: Mapped[float]


class WorkerLimit(Base):
    """Counts of the worker, including those for alarms; the web's role has no access."""

    __tablename__ = "worker_limits"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    # Seconds since 1970.
    used_until: Mapped[float]


Table = type[Limit] | type[WorkerLimit]


def available_at(session: Session, key: bytes, at: datetime) -> datetime:
    """Return when a key of the worker's, with a burst of one, may be used again."""
    used = session.scalar(select(WorkerLimit.used_until).where(WorkerLimit.key == key)) or 0.0
    return max(at, datetime.fromtimestamp(used, UTC))


def used_up(session: Session, keys: Iterable[bytes], at: datetime) -> set[bytes]:
    """Return which of the worker's keys, with a burst of one, are used up."""
    later = WorkerLimit.key.in_(keys), WorkerLimit.used_until > at.timestamp()
    return set(session.scalars(select(WorkerLimit.key).where(*later)))


def is_used_up(key: bytes, rate: Rate) -> ColumnElement[bool]:
    """Match if none of the worker's uses of a key is left."""
    full = rate.per - rate.per / rate.burst + timedelta(seconds=ROUNDING_SECONDS)
    return exists().where(WorkerLimit.key == key, WorkerLimit.used_until > ahead(full))


def remaining(
    session: Session, key: bytes, rate: Rate, at: datetime, table: Table = WorkerLimit
) -> int:
    """Return how many uses of a key are left now."""
    used = session.scalar(select(table.used_until).where(table.key == key)) or 0.0
    period = rate.per.total_seconds()
    left = at.timestamp() + period - max(used, at.timestamp())
    return max(0, int(left * rate.burst / period))


def record_use(session: Session, key: bytes, rate: Rate, at: datetime, uses: int = 1) -> datetime:
    """Count uses of a key; return when the last of them may happen."""
    return record_uses(session, ((key, rate),), at, uses)[0]


def record_uses(
    session: Session, keys: Sequence[tuple[bytes, Rate]], at: datetime, uses: int = 1
) -> list[datetime]:
    """Count so many uses of each key; return when the last of them may happen."""
    used = _count(session, WorkerLimit, keys, at, uses)
    return [_moment(until, rate, at) for until, (_, rate) in zip(used, keys, strict=True)]


def try_use(
    session: Session,
    key: bytes,
    rate: Rate,
    at: datetime,
    most_wait: timedelta = NO_WAIT,
    table: Table = WorkerLimit,
) -> datetime | None:
    """Count a use if it may happen within `most_wait`; return when, or None if it was refused."""
    [used] = _count(session, table, ((key, rate),), at, most_wait=most_wait)
    return None if used is None else _moment(used, rate, at)


def try_uses(
    session: Session,
    uses: Iterable[tuple[bytes, Rate]],
    at: datetime,
    table: Table = WorkerLimit,
) -> bool:
    """Count one use of each key, or none at all if one is used up."""
    with session.begin_nested() as savepoint:
        if None not in _count(session, table, uses, at, most_wait=NO_WAIT):
            return True
        savepoint.rollback()
    return False


def forget(session: Session, *keys: bytes) -> None:
    """Delete the worker's counts of these keys."""
    session.execute(delete(WorkerLimit).where(WorkerLimit.key.in_(keys)))


def count_waiting(session: Session) -> int:
    """Count the jobs that wait for the worker, up to MAX_WAITING_JOBS."""
    some = select(literal(1)).select_from(table_named("jobs")).limit(MAX_WAITING_JOBS)
    return session.scalar(select(func.count()).select_from(some.subquery())) or 0


def _moment(used: float | None, rate: Rate, at: datetime) -> datetime:
    """Return when a use may happen, given the time until which it uses up its key."""
    allowed = (used or 0.0) - rate.per.total_seconds()
    is_now = allowed <= at.timestamp() + ROUNDING_SECONDS
    return at if is_now else datetime.fromtimestamp(allowed, UTC)


def _count(
    session: Session,
    table: Table,
    keys: Iterable[tuple[bytes, Rate]],
    at: datetime,
    uses: int = 1,
    most_wait: timedelta | None = None,
) -> list[float | None]:
    """Count uses of all keys in one round trip; return until when each key is now used up.

    A key whose use would have to wait longer than `most_wait` is not counted, and gives None.
    """
    connection, start = session.connection(), at.timestamp()
    wait = inf if most_wait is None else most_wait.total_seconds() + ROUNDING_SECONDS
    counting = _counting(table, connection.dialect.name)
    calls = []
    for key, rate in keys:
        per = rate.per.total_seconds()
        said = {"key": key, "start": start, "step": uses * per / rate.burst}
        calls.append((counting, {**said, "most": start + per + wait}))
    return [rows[0][0] if rows else None for rows, _ in run_together(connection, *calls)]


@cache
def _counting(table: Table, dialect: str) -> CompiledStatement:
    start, step, most = (bindparam(each, type_=Float()) for each in ("start", "step", "most"))
    later = case((table.used_until > start, table.used_until), else_=start) + step
    key = bindparam("key", type_=table.key.type)
    first = dialect_insert(dialect)(table.__table__).values(key=key, used_until=start + step)
    counted = first.on_conflict_do_update(
        index_elements=[table.key], set_={"used_until": later}, where=later <= most
    )
    return CompiledStatement(counted.returning(table.used_until))
