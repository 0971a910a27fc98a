"""Rate limits: one upsert, shared by all processes, surviving restarts.

The generic cell rate algorithm: a row remembers until when its key's allowance is used up. A use
over a limit happens later (`record_use`). Where strangers can use up what somebody else needs, the
wait has an end, and a refusal costs nothing (`try_use`).

The web counts in a table of its own. The worker counts in another one, which the web's role in
PostgreSQL does not reach, and which is the default.

Every rate stands here with its reason, by subject; two are settings: the relay's messages a minute
and a day (`BELONG_SEND_RATE`, `BELONG_DAILY_QUOTA`, in `delivery.throttle`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import case, delete, func, literal, select
from sqlalchemy import table as table_named
from sqlalchemy.orm import Mapped, Session, mapped_column

from belong_mail.core.db import Base, dialect_insert

NO_WAIT = timedelta(0)
# How far sums of seconds since 1970 may be off.
ROUNDING_SECONDS = 1e-3


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and so many again in each period."""

    burst: int
    per: timedelta


HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Forms, counted by the web before they reach the worker.

# One source sends 30 at once, then one each 20 seconds. A stranger who types others' addresses
# emails few of them soon, and an honest person at a busy source waits for seconds.
SOURCE_RATE = Rate(30, timedelta(minutes=10))
# The same from the district's own networks: a whole staff meeting may sign up at one moment.
TRUSTED_SOURCE_RATE = Rate(300, timedelta(minutes=15))
# All forms that strangers send, from everywhere: a flood of many sources ends here.
ALL_FORMS = b"forms"
ALL_FORMS_RATE = Rate(6000, HOUR)
# Requests that may wait for the worker: more would wait for longer than a person does.
MAX_WAITING_JOBS = 20_000
# Jobs that people ask for, of whatever kind: where more come the operator hears of a flood.
JOBS_RATE = Rate(3_000, HOUR)
# From so many on each source has a tenth of its limit, so that no few sources fill the rest.
BUSY_WAITING_JOBS = MAX_WAITING_JOBS // 2
BUSY_PART = 10
# Addresses that the worker looks up: an intruder in the web can seal guesses, and see in the
# database which of them are known.

# More than people send in any minute, and no more guesses of a list.
LOOKUPS_PER_MINUTE = Rate(200, timedelta(minutes=1))
# More than half of a district of 15,000 on the day a group starts.
LOOKUPS_PER_DAY = Rate(10_000, DAY)
# More than that the operator hears of: no usual day has as many.
UNUSUAL_LOOKUPS = Rate(1_000, DAY)
# For so long it is remembered that some had to wait, so that the operator's next look shows it.
DELAYED_LOOKUPS = Rate(1, HOUR)
# Reports that are told by a Message-ID, where a relay rewrote the return path: each also says to
# whom we wrote. More are not read; and those about one message, of which a server sends a few.
REPORTS_RATE = Rate(1_000, DAY)
SAME_MESSAGE_REPORTS_RATE = Rate(5, DAY)
# Confirmations: anyone may type anyone's address.

# For one address and group: two at once, then one a day, if the first one was lost.
CONFIRM_MEMBER_RATE = Rate(2, timedelta(days=2))
# For one address over all groups: one for each group, then three a day.
CONFIRM_PERSON_RATE = Rate(10, timedelta(hours=80))
# Both are for what one source asks. All sources together have a little more, so that one stranger
# does not use up what the person asks from elsewhere; they make nobody wait for longer than a day.
CONFIRM_MEMBER_RATE_ALL_SOURCES = Rate(4, timedelta(days=4))
CONFIRM_PERSON_RATE_ALL_SOURCES = Rate(24, timedelta(hours=192))
# Between two of them: a form that is sent twice causes one email.
CONFIRMATION_GAP = timedelta(minutes=15)
CONFIRMATION_GAP_RATE = Rate(1, CONFIRMATION_GAP)
# Links to sign in, for one account: each also says to an inbox that somebody wants to. Each rate
# allows the next one by the time the last one ends, after ten minutes: whoever asks gets a link, or
# may use the newest one.

# Asked for by one browser, from one source, and by all of those in which it has not signed in
# before: a stranger who uses one up leaves the next one to others.
SIGN_IN_BROWSER_RATE = Rate(3, timedelta(minutes=30))
SIGN_IN_SOURCE_RATE = Rate(4, timedelta(minutes=40))
SIGN_IN_STRANGERS_RATE = Rate(6, HOUR)
# The same for a browser in which it has, and for all of those: strangers cannot use these up.
SIGN_IN_KNOWN_BROWSER_RATE = Rate(5, timedelta(minutes=50))
SIGN_IN_KNOWN_BROWSERS_RATE = Rate(10, HOUR)
# Links by which who is signed in proves it again: for one session, so that another one of the same
# account, in whoever's hands, uses none of them up; and for an account, to spare its inbox.
PROOF_RATE = Rate(6, HOUR)
PROOFS_RATE = Rate(20, HOUR)
# One way to the district's identity provider and back: it is used once, and over by then.
ROUND_TRIP_RATE = Rate(1, timedelta(minutes=11))
# One challenge for a passkey: it is used once, and over by then.
CHALLENGE_RATE = Rate(1, timedelta(minutes=6))
# Emails to an account's owner that its passkeys have changed. The worker alone counts.
PASSKEY_CHANGED_RATE = Rate(20, DAY)
# How often an account is let in by email again, which several people hear of; and all of them
# together. The worker alone counts.
LET_IN_RATE = Rate(3, DAY)
LET_INS_RATE = Rate(100, DAY)
# Refusals of an account in the audit trail, for one reason: a stranger who asks all day long must
# not fill it.
SIGN_IN_REFUSED_RATE = Rate(1, HOUR)
# Self-service, for one address.

# Links to its groups: the link lives for half an hour, and is asked for again when it is over.
# Staff who are in none are told so as often, so that no number of emails tells who is.
MY_GROUPS_RATE = Rate(5, HOUR)
# Links that lift “never email me”: the one email that a suppressed address gets.
EMAIL_AGAIN_RATE = Rate(1, timedelta(days=7))
# A used link, for as long as it works, so that its page can say “done”.
USED_LINK_RATE = Rate(1, timedelta(hours=72))
# Copies of what is held, which name every group: a fourth one waits until the day has room.
COPY_RATE = Rate(3, DAY)
# Emails to one new address. They use up no confirmation of its owner, and one that would wait for
# longer is not sent: an earlier link still works.
CHANGE_ADDRESS_RATE = Rate(3, DAY)
# Codes that prove staff, which let a personal address join. The worker alone counts, as of the end
# of the day (UTC), so that no hour stands beside a keyed hash of a staff address.

# To one staff address, for what one source asks: a code for some groups, or after some slips.
STAFF_CODE_SOURCE_RATE = Rate(4, DAY)
# From all sources: so many personal addresses a day can one member of staff let in.
STAFF_CODE_RATE = Rate(10, DAY)
# The same code: once. Counted as of a day's end, it must not be whole again on the next one.
STAFF_CODE_USED_RATE = Rate(1, timedelta(days=2))
# Emails that leads and the office cause.

# Emails of one group to one address. They use up no confirmation of its owner; a proposal that
# would wait for longer is dropped.
MAILBOX_RATE = Rate(10, DAY)
# Test copies that one lead asks for; and those, and requests for approval, that one group's leads
# send to each other: a colleague's inbox is not theirs to fill.
TEST_RATE = Rate(20, HOUR)
TO_COLLEAGUES_RATE = Rate(6, HOUR)
# Emails about newsletters to one leader that the web asks the worker for: tests, requests for
# approval, what the office did. Honest pages ask for fewer. The worker alone counts.
ASKED_OF_LEADERS_RATE = Rate(120, HOUR)
# Questions what is to become of one newsletter that is held or paused by itself.
HELD_RATE = Rate(6, HOUR)
# Acknowledgements of messages to the office, for one address: anyone may type anyone's.
ACKNOWLEDGEMENT_RATE = Rate(1, DAY)
# Messages that were not delivered, sent again: an inbox that is full has time to be emptied.
RESEND_RATE = Rate(1, timedelta(minutes=10))
# Invitations that the office's pages ask for, in all: the beginning of a school year needs so many,
# and an intruder in the web does not flood staff. The worker alone counts.
INVITATIONS_RATE = Rate(40, DAY)
# The same invitation once more, to one account.
SAME_INVITATION_RATE = Rate(3, DAY)
# Emails about rights that ended: more would drown those about new ones, which have no limit.
RIGHTS_CHANGED_RATE = Rate(100, DAY)
# “Try sending now”: a relay that takes nothing is not asked more often.
RETRY_RATE = Rate(1, timedelta(minutes=5))
# Addresses that the office removes from a group, bars, or lets in again: nobody means more in a
# day, and an intruder in the web tries no more guesses.
REMOVAL_RATE = Rate(20, DAY)
# People of an imported list that are asked to join. Newsletters may be faster, sign-ups have rates
# of their own, and an intruder in the web who imports guesses tries no more of them in a day than
# by signing up.
IMPORT_MINUTE_RATE = Rate(60, timedelta(minutes=1))
IMPORT_DAY_RATE = Rate(10_000, DAY)
# The same person for the same group, whichever file names them: until their answer is due.
IMPORT_AGAIN_RATE = Rate(1, timedelta(hours=72))
# The same person for all groups together: one file after another asks nobody all the time.
IMPORT_PERSON_RATE = Rate(3, timedelta(hours=72))
# Alarms for the operator.

# Emails about one alarm that stays on.
ALERT_RATE = Rate(1, timedelta(hours=6))
# For so long, or until the operator is told, it is remembered what happened once.
NOTICE_RATE = Rate(1, DAY)
# For so long it is remembered that mail came back for what is ours to mend.
OUR_FAULT_RATE = Rate(1, HOUR)
# Addresses said not to exist; more of them are not believed for a while (Gmail, December 2020).
BOUNCE_BREAKER_RATE = Rate(19, HOUR)
# Limits nothing: counting a use of a key locks its row until the transaction ends.
LOCKING_RATE = Rate(1, NO_WAIT)


def busy_rate(rate: Rate) -> Rate:
    """Return what is left of a source's rate while much waits for the worker."""
    return Rate(rate.burst // BUSY_PART, rate.per)


class Limit(Base):
    """Count for the web: sources, forms, challenges, used links."""

    __tablename__ = "limits"

    # A keyed hash of what is limited; it names nobody.
    key: Mapped[bytes] = mapped_column(primary_key=True)
    # Seconds since 1970.
    used_until: Mapped[float]


class WorkerLimit(Base):
    """Count for the worker and its alarms; the web has no right on it."""

    __tablename__ = "worker_limits"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    # Seconds since 1970.
    used_until: Mapped[float]


Table = type[Limit] | type[WorkerLimit]


def available_at(session: Session, key: bytes, at: datetime) -> datetime:
    """Return when a key of the worker, of a rate without a burst, may be used again."""
    used = session.scalar(select(WorkerLimit.used_until).where(WorkerLimit.key == key)) or 0.0
    return max(at, datetime.fromtimestamp(used, UTC))


def remaining(
    session: Session, key: bytes, rate: Rate, at: datetime, table: Table = WorkerLimit
) -> int:
    """Return how many more uses of a key may happen now."""
    used = session.scalar(select(table.used_until).where(table.key == key)) or 0.0
    period = rate.per.total_seconds()
    left = at.timestamp() + period - max(used, at.timestamp())
    return max(0, int(left * rate.burst / period))


def record_use(session: Session, key: bytes, rate: Rate, at: datetime, uses: int = 1) -> datetime:
    """Count uses of a key and return when the last of them may happen: now, or later."""
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
    """Count a use that may happen within a wait and return when; a refused one costs nothing."""
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
    """Count a use of each of several keys now, or of none where one of them is used up."""
    with session.begin_nested() as savepoint:
        if all(try_use(session, key, rate, at, table=table) for key, rate in uses):
            return True
        savepoint.rollback()
    return False


def forget(session: Session, *keys: bytes) -> None:
    """Forget the uses of keys of the worker."""
    session.execute(delete(WorkerLimit).where(WorkerLimit.key.in_(keys)))


def count_waiting(session: Session) -> int:
    """Count the requests that wait for the worker, up to what is too much."""
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
    """Use up so many seconds of a key's allowance in one statement; return when it is whole again.

    None, and nothing is counted, where that would be later than allowed.
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
