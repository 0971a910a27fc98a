"""Rate limits: one upsert, shared by all processes, surviving restarts.

The generic cell rate algorithm: a row stores until when its key's allowance is used up.
`record_use` delays a use beyond the limit. `try_use` is for limits that strangers can use up for
someone else: its waits have an end, and a refused use is not counted.

The web counts in one table, and the worker (the default) in another that the web's role in
PostgreSQL cannot reach.

Every rate is defined here with its reason, by subject; two are settings: the relay's messages a
minute and a day (`BELONG_SEND_RATE`, `BELONG_DAILY_QUOTA`, in `delivery.throttle`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import case, delete, func, literal, select
from sqlalchemy import table as table_named
from sqlalchemy.orm import Mapped, Session, mapped_column

from belong_mail.core.db import Base, dialect_insert

NO_WAIT = timedelta(0)
# Rounding error of sums of seconds since 1970.
ROUNDING_SECONDS = 1e-3


@dataclass(frozen=True, slots=True)
class Rate:
    """So many uses at once, and the same number again in each period."""

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
# Jobs of any kind that people ask for: beyond this the operator hears of a flood.
JOBS_RATE = Rate(3_000, HOUR)
# When this many wait, each source has a tenth of its limit, so that few cannot fill the rest.
BUSY_WAITING_JOBS = MAX_WAITING_JOBS // 2
BUSY_PART = 10
# Jobs that look an address up: an intruder in the web can seal guesses, and see in the database
# which of them are known.

# More than people send in any minute, and too few to test a list.
LOOKUPS_PER_MINUTE = Rate(200, timedelta(minutes=1))
# More than half of a district of 15,000 on the day a group starts.
LOOKUPS_PER_DAY = Rate(10_000, DAY)
# Beyond this the operator hears of it: no usual day has as many.
UNUSUAL_LOOKUPS = Rate(1_000, DAY)
# The same for who tries a list slowly. A district of 15,000 sends some 70 a day, unless a group is
# announced. Counts from zero when the operator was told.
UNUSUAL_LOOKUPS_PER_WEEK = Rate(2_000, timedelta(days=7))
# How long it is remembered that some had to wait, until the operator's next check.
DELAYED_LOOKUPS = Rate(1, HOUR)
# Reports attributed by a Message-ID, because a relay rewrote the return path: they also test whom
# we wrote to. The second rate is for one message, about which a server sends a few.
REPORTS_RATE = Rate(1_000, DAY)
SAME_MESSAGE_REPORTS_RATE = Rate(5, DAY)
# Confirmations: anyone may type anyone's address.

# For one address and group: two at once, then one a day, if the first one was lost.
CONFIRM_MEMBER_RATE = Rate(2, timedelta(days=2))
# For one address over all groups: one for each group, then three a day.
CONFIRM_PERSON_RATE = Rate(10, timedelta(hours=80))
# Both count one source. All sources together have a little more, so that one stranger does not use
# up what the person asks for elsewhere; they delay no one by more than a day.
CONFIRM_MEMBER_RATE_ALL_SOURCES = Rate(4, timedelta(days=4))
CONFIRM_PERSON_RATE_ALL_SOURCES = Rate(24, timedelta(hours=192))
# Between two of them: a form that is sent twice causes one email.
CONFIRMATION_GAP = timedelta(minutes=15)
CONFIRMATION_GAP_RATE = Rate(1, CONFIRMATION_GAP)
# Links to sign in, for one account: each also tells an inbox that someone wants to. Each rate
# allows the next one when the last one ends, after ten minutes: everyone who asks gets a link, or
# can use the newest one.

# For one unknown browser, for one source, and for all unknown browsers: a stranger who uses one up
# leaves the next one to others.
SIGN_IN_BROWSER_RATE = Rate(3, timedelta(minutes=30))
SIGN_IN_SOURCE_RATE = Rate(4, timedelta(minutes=40))
SIGN_IN_STRANGERS_RATE = Rate(6, HOUR)
# The same for one known browser, and for all of those: strangers cannot use these up.
SIGN_IN_KNOWN_BROWSER_RATE = Rate(5, timedelta(minutes=50))
SIGN_IN_KNOWN_BROWSERS_RATE = Rate(10, HOUR)
# Links that prove identity again: for one session, so that another session of the account, in
# anyone's hands, cannot use them up; and for an account, to spare its inbox.
PROOF_RATE = Rate(6, HOUR)
PROOFS_RATE = Rate(20, HOUR)
# One request to the district's identity provider: it is used once, and expires before this.
ROUND_TRIP_RATE = Rate(1, timedelta(minutes=11))
# One challenge for a passkey: it is used once, and expires before this.
CHALLENGE_RATE = Rate(1, timedelta(minutes=6))
# Emails to an account's owner that its passkeys have changed. Only the worker counts.
PASSKEY_CHANGED_RATE = Rate(20, DAY)
# How often an account is switched back to emailed links, which several people hear of; and all
# accounts together. Only the worker counts.
LET_IN_RATE = Rate(3, DAY)
LET_INS_RATE = Rate(100, DAY)
# Refusals of an account in the audit trail, for one reason: a stranger who asks all day must not
# fill it.
SIGN_IN_REFUSED_RATE = Rate(1, HOUR)
# Self-service, for one address.

# Links to “My groups”: each works for half an hour. Staff who are in no group are told so as often,
# so that the number of emails does not tell who is.
MY_GROUPS_RATE = Rate(5, HOUR)
# Links that lift “never email me”: the only email that a suppressed address gets.
EMAIL_AGAIN_RATE = Rate(1, timedelta(days=7))
# A used link, for as long as it works, so that its page can say “done”.
USED_LINK_RATE = Rate(1, timedelta(hours=72))
# Copies of what is held, which name every group; a fourth one waits.
COPY_RATE = Rate(3, DAY)
# Emails to one new address. They use none of its owner's confirmations. One that would wait longer
# is not sent: an earlier link still works.
CHANGE_ADDRESS_RATE = Rate(3, DAY)
# Codes that prove staff, which let a personal address join. Only the worker counts, as of the end
# of the day (UTC), so that no time is stored beside a keyed hash of a staff address.

# To one staff address from one source: codes for a few groups, or after typing mistakes.
STAFF_CODE_SOURCE_RATE = Rate(4, DAY)
# From all sources: as many personal addresses a day one member of staff can let in.
STAFF_CODE_RATE = Rate(10, DAY)
# The same code: once. Counted as of a day's end, it must not be whole again the next day.
STAFF_CODE_USED_RATE = Rate(1, timedelta(days=2))
# Emails that leads and the office cause.

# Emails of one group to one address. They use none of its owner's confirmations; a proposal that
# would wait longer is dropped.
MAILBOX_RATE = Rate(10, DAY)
# Test copies that one lead asks for; and those, and requests for approval, that one group's leads
# send each other: a colleague's inbox is not theirs to fill.
TEST_RATE = Rate(20, HOUR)
TO_COLLEAGUES_RATE = Rate(6, HOUR)
# Emails about newsletters to one leader that the web asks for: tests, requests for approval, what
# the office did. Honest pages ask for fewer. Only the worker counts.
ASKED_OF_LEADERS_RATE = Rate(120, HOUR)
# Emails that ask what to do with one held or paused newsletter.
HELD_RATE = Rate(6, HOUR)
# Acknowledgements of messages to the office, for one address: anyone may type anyone's.
ACKNOWLEDGEMENT_RATE = Rate(1, DAY)
# Undelivered messages, sent again: someone needs time to empty a full inbox.
RESEND_RATE = Rate(1, timedelta(minutes=10))
# Invitations by the office's pages, in all: enough for the beginning of a school year, too few for
# an intruder in the web to flood staff. Only the worker counts.
INVITATIONS_RATE = Rate(40, DAY)
# The same invitation once more, to one account.
SAME_INVITATION_RATE = Rate(3, DAY)
# Emails about rights that ended: more would hide those about new rights, which have no limit.
RIGHTS_CHANGED_RATE = Rate(100, DAY)
# “Try sending now”: a relay that is down is not asked more often.
RETRY_RATE = Rate(1, timedelta(minutes=5))
# Addresses that the office removes from a group, bars, or lets in again: no one needs more in a
# day, and an intruder in the web can try no more guesses.
REMOVAL_RATE = Rate(20, DAY)
# People of an imported list who are asked to join. Newsletters may be faster, sign-ups have their
# own rates, and an intruder in the web can try no more guesses by importing than by signing up.
IMPORT_MINUTE_RATE = Rate(60, timedelta(minutes=1))
IMPORT_DAY_RATE = Rate(10_000, DAY)
# The same person for the same group, in any file: until their answer is due.
IMPORT_AGAIN_RATE = Rate(1, timedelta(hours=72))
# The same person for all groups together, so that no series of files keeps asking.
IMPORT_PERSON_RATE = Rate(3, timedelta(hours=72))
# Alarms for the operator.

# Emails about one alarm that stays on.
ALERT_RATE = Rate(1, timedelta(hours=6))
# How long a single event is remembered, unless the operator is told before.
NOTICE_RATE = Rate(1, DAY)
# How long it is remembered that emails bounce because of our setup.
OUR_FAULT_RATE = Rate(1, HOUR)
# Addresses reported unknown; more are ignored for a while (Gmail, December 2020).
BOUNCE_BREAKER_RATE = Rate(19, HOUR)
# No limit: counting a use only locks the key's row until the transaction ends.
LOCKING_RATE = Rate(1, NO_WAIT)


def busy_rate(rate: Rate) -> Rate:
    """Return what is left of a source's rate while many requests wait for the worker."""
    return Rate(rate.burst // BUSY_PART, rate.per)


class Limit(Base):
    """The web's counts: sources, forms, challenges, used links."""

    __tablename__ = "limits"

    # Keyed hash of what is limited; it identifies no one.
    key: Mapped[bytes] = mapped_column(primary_key=True)
    # Seconds since 1970.
    used_until: Mapped[float]


class WorkerLimit(Base):
    """The counts of the worker and its alarms; the web has no right on them."""

    __tablename__ = "worker_limits"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    # Seconds since 1970.
    used_until: Mapped[float]


Table = type[Limit] | type[WorkerLimit]


def available_at(session: Session, key: bytes, at: datetime) -> datetime:
    """Return from when one of the worker's keys, whose burst is one, may be used again."""
    used = session.scalar(select(WorkerLimit.used_until).where(WorkerLimit.key == key)) or 0.0
    return max(at, datetime.fromtimestamp(used, UTC))


def used_up(session: Session, keys: Iterable[bytes], at: datetime) -> set[bytes]:
    """Return which of the worker's keys, whose burst is one, may not be used again yet."""
    later = WorkerLimit.key.in_(keys), WorkerLimit.used_until > at.timestamp()
    return set(session.scalars(select(WorkerLimit.key).where(*later)))


def remaining(
    session: Session, key: bytes, rate: Rate, at: datetime, table: Table = WorkerLimit
) -> int:
    """Return how many more uses of a key may happen now."""
    used = session.scalar(select(table.used_until).where(table.key == key)) or 0.0
    period = rate.per.total_seconds()
    left = at.timestamp() + period - max(used, at.timestamp())
    return max(0, int(left * rate.burst / period))


def record_use(session: Session, key: bytes, rate: Rate, at: datetime, uses: int = 1) -> datetime:
    """Count uses of a key; return when the last of them may happen: now, or later."""
    start, per = at.timestamp(), rate.per.total_seconds()
    used = _count(session, WorkerLimit, key, start, uses * per / rate.burst)
    allowed = max(start, (used or start) - per)
    return at if allowed == start else datetime.fromtimestamp(allowed, UTC)


def try_use(
    session: Session,
    key: bytes,
    rate: Rate,
    at: datetime,
    most_wait: timedelta = NO_WAIT,
    table: Table = WorkerLimit,
) -> datetime | None:
    """Count a use that may happen within a wait; return when, or None if refused, uncounted."""
    start, per = at.timestamp(), rate.per.total_seconds()
    most = start + per + most_wait.total_seconds() + ROUNDING_SECONDS
    used = _count(session, table, key, start, per / rate.burst, most)
    if used is None:
        return None
    return at if used - per <= start + ROUNDING_SECONDS else datetime.fromtimestamp(used - per, UTC)


def try_uses(
    session: Session,
    uses: Iterable[tuple[bytes, Rate]],
    at: datetime,
    table: Table = WorkerLimit,
) -> bool:
    """Count a use of each of several keys, or of none if one of them is used up."""
    with session.begin_nested() as savepoint:
        if all(try_use(session, key, rate, at, table=table) for key, rate in uses):
            return True
        savepoint.rollback()
    return False


def forget(session: Session, *keys: bytes) -> None:
    """Delete the worker's counts of these keys."""
    session.execute(delete(WorkerLimit).where(WorkerLimit.key.in_(keys)))


def count_waiting(session: Session) -> int:
    """Count the requests that wait for the worker, up to the limit."""
    some = select(literal(1)).select_from(table_named("jobs")).limit(MAX_WAITING_JOBS)
    return session.scalar(select(func.count()).select_from(some.subquery())) or 0


def _count(
    session: Session,
    table: Table,
    key: bytes,
    start: float,
    step: float,
    most: float | None = None,
) -> float | None:
    """Use up seconds of a key's allowance in one statement; return when it is whole again.

    Returns None, and counts nothing, if that would be later than allowed.
    """
    connection = session.connection()
    later = case((table.used_until > start, table.used_until), else_=start) + step
    first = dialect_insert(connection.dialect.name)(table.__table__).values(
        key=key, used_until=start + step
    )
    counted = first.on_conflict_do_update(
        index_elements=[table.key],
        set_={"used_until": later},
        where=None if most is None else later <= most,
    )
    used: float | None = connection.scalar(counted.returning(table.used_until))
    return used
