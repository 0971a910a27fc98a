"""Hold sending: whether a host may work on this database, and what would leave if it did."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import case, exists, func, select, text, update
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Mapped, Session, mapped_column

from belong_mail.core import audit
from belong_mail.core.db import NO_DATABASE, IdBase, now
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import RETRY_RATE, WorkerLimit, try_use
from belong_mail.delivery.models import Chunk, Delivery, State
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops.host_state import HostState, machine_id


class Host(IdBase):
    """A state folder that works on this database; its state file has the same name and epoch."""

    __tablename__ = "hosts"

    folder: Mapped[str] = mapped_column(unique=True)
    # Grows while a worker works; the state file in the state folder grows with it.
    epoch: Mapped[int]
    # A key of `REASONS`; None: it may send.
    held_because: Mapped[str | None]
    # When a worker of it last looked, held or not.
    seen_at: Mapped[datetime] = mapped_column(default=now)
    # The heartbeat: when a worker of it last looked, having done all that was due before.
    worked_at: Mapped[datetime | None]
    # Its workers are to try the relay now, although it was to be left alone for a while.
    retry_asked_at: Mapped[datetime | None]
    # Of PostgreSQL's timelines the last on which nothing was missing that this host knew of.
    timeline: Mapped[str] = mapped_column(default="", server_default="")


# Of a database that was moved to another one.
LEFT = "left"
REASONS = {
    "unknown": "this host's state folder has not worked on this database before, nor on any other."
    " The host or its folder is new, or the database is a copy. If this is the database in use,"
    " release the hold, and this host joins the others. If it is a copy, do not: email that waits"
    " in it would be sent twice.",
    "another": "this host's state folder knows another database. This one is new: nothing was sent"
    " from it, and email was queued before its first worker started. If that is what you want,"
    " release the hold. If not, correct BELONG_DATABASE_URL.",
    "forgotten": "this host's state folder knows another database, or a later state of this one,"
    " and has not worked on this database as it is now, although email was sent from it. It is an"
    " older copy, or another host's database. Check BELONG_DATABASE_URL. Email sent after a copy"
    " was made would be sent again.",
    "older": "the database is older than what this host last saw: it is a restored copy. Email"
    " sent since then would be sent again.",
    "behind": "the database lacks transactions that a host has made: a standby took over before it"
    " had them, or an older copy was restored. Email sent in those seconds would be sent again,"
    " from any host, so all are on hold. Look at what is waiting, then release each host.",
    "failover": "a standby has taken over, and another host has not confirmed yet that nothing it"
    " did is missing. This host goes on by itself once the other has. If that host is gone for"
    " good, release this one.",
    "newer": "the database is newer than what this host last saw: a copy of this host works on it"
    " too, or the state folder is a restored copy.",
    "elsewhere": "the database is not the same file or cluster that this host last saw: it is a"
    " copy, or it was moved.",
    "moved": "the state folder comes from another machine: this one is a clone, or it was moved.",
    "clock": "this machine's clock is days behind, or two months ahead of, the time that the"
    " database last saw. Correct the clock, and all goes on. If it is right, release the hold.",
    "restored": "the database was restored from a copy. Email sent since then would be sent again.",
    "keys": "this worker's keys do not open what is in the database. `doctor` says which. Put the"
    " right ones in place and restart the worker. Nothing is lost.",
    LEFT: "`db move` has copied this database to another one, which is in use now. Name that in"
    " BELONG_DATABASE_URL.",
    "asked": "someone ran `hold begin`.",
}
# Email that waits may have been sent since; for the others, releasing sends nothing twice.
PERHAPS_SENT = frozenset({"forgotten", "older", "behind", "newer", "elsewhere", "restored"})
# Releasing sends nothing until the cause is gone.
TO_CORRECT = frozenset({"keys", LEFT})
# The job that has waiting email tried again.
RETRY = "retry-email"
RETRIED = b"office/retried"
# Two hosts' clocks may differ by so much.
SKEW = timedelta(minutes=2)
# A clock that is further off would let things expire, or wait, that must not.
CLOCK_BACK, CLOCK_TOO_FAR = timedelta(days=2), timedelta(days=60)
SEEN_LATELY = timedelta(seconds=30)
RECENT_WORK = timedelta(minutes=2)
SYSTEM = "SELECT system_identifier FROM pg_control_system()"
TIMELINE = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"
DATABASE = "SELECT oid FROM pg_database WHERE datname = current_database()"


def hold_reason(session: Session, seen: HostState) -> str | None:
    """Return why a host that has seen this must not work here, a key of REASONS; None: it may."""
    host = _host(session, seen)
    if host is None:
        return _why_unknown(session, seen)
    if host.held_because is not None:
        return host.held_because
    differences = {
        "older": host.epoch < seen.epoch,
        "newer": host.epoch > seen.epoch + seen.is_pending,
        "elsewhere": seen.place not in {"", database_identity(session)},
        "clock": not -CLOCK_BACK < now() - host.seen_at < CLOCK_TOO_FAR,
        "moved": "" not in {seen.machine, machine_id()} and seen.machine != machine_id(),
        "failover": _has_retry_call(session, host),
    }
    return next((reason for reason, is_so in differences.items() if is_so), None)


def way_out(because: str) -> str:
    """Say which command ends a hold of a reason."""
    if because in TO_CORRECT:
        return "Correct that first."
    if because in PERHAPS_SENT:
        return (
            "`hold release --doubt` if it may have been sent since: newsletters pause, so that"
            " nobody gets them twice. `hold release` if not: what waits is sent."
        )
    return "`hold release` ends the hold, and what waits is sent."


def seconds_ahead(session: Session, seen: HostState) -> timedelta:
    """Return by how much this host's clock was ahead when it last looked; 0: it was not."""
    host = _host(session, seen)
    by = host.seen_at - now() if host is not None else timedelta(0)
    return by if by > SKEW else timedelta(0)


def check_host(session: Session, seen: HostState, *, is_behind: bool = False) -> str | None:
    """Tell as `hold_reason` does, and record it on both sides, in `HostStateFile.locked_update`.

    Where all is well the epoch goes on: an older database is known from now on. One that
    `is_behind` lacks what this host has done, and no host may do it again.
    """
    if is_behind:
        free = update(Host).where(Host.held_because.is_(None))
        session.execute(free.values(held_because="behind"))
    because = hold_reason(session, seen)
    host = _host(session, seen)
    if host is None:
        host = Host(folder=seen.folder, epoch=seen.epoch)
        session.add(host)
    if because == "failover":
        host.timeline = timeline(session)
    if because in {"clock", "failover"}:
        return because
    host.held_because, host.seen_at = because, now()
    if because is None:
        _go_on(session, host, seen)
    return because


def start_hold(session: Session, because: str, seen: HostState) -> None:
    """Hold every host that has worked on this database, and this one."""
    session.execute(update(Host).values(held_because=because))
    if _host(session, seen) is None:
        session.add(Host(folder=seen.folder, epoch=seen.epoch, held_because=because))


def release_hold(session: Session, seen: HostState) -> None:
    """Let this host work on this database from now on, within `HostStateFile.locked_update`."""
    host = _host(session, seen)
    if host is None:
        host = Host(folder=seen.folder, epoch=seen.epoch)
        session.add(host)
    host.held_because = None
    session.execute(update(Host).values(timeline=""))
    audit.record(session, audit.Kind.HOLD_RELEASED)
    _go_on(session, host, seen)


def take_retry_call(session: Session, seen: HostState) -> bool:
    """Tell whether somebody has asked since to try the relay now."""
    host = _host(session, seen)
    if host is None or host.retry_asked_at is None:
        return False
    host.retry_asked_at = None
    return True


def ask_worker_to_retry(session: Session) -> None:
    """Have the worker try what waits: the web may not touch these deliveries."""
    audit.record(session, audit.Kind.RETRY_ASKED)
    session.add(Job(kind=RETRY))


def retry_email(session: Session, _keyring: object, _job: Job) -> None:
    """Let what waits for its next try be tried, unless that was just done.

    Whoever broke into the web can ask for it too, and so as seldom: a relay that is down is not
    knocked at without end.
    """
    if try_use(session, RETRIED, RETRY_RATE, now(), table=WorkerLimit):
        ask_retry(session)


def ask_retry(session: Session) -> int:
    """Let all that waits for its next try be tried now; return how much that is.

    What is uncertain keeps its time, what is paused its pause, and what a limit has put off waits
    as long as that says: it is dated later.
    """
    at = now()
    waits = Delivery.state.in_((State.QUEUED, State.DEFERRED)), Delivery.due_at > at
    later = update(Delivery).where(*waits, Delivery.created_at <= at).values(due_at=at)
    number = session.execute(later.returning(Delivery.id)).scalars().all()
    session.execute(update(Host).values(retry_asked_at=at))
    return len(number)


def beat(session: Session, seen: HostState) -> None:
    """Write down that a worker of this host has done what was due."""
    session.execute(update(Host).where(Host.folder == seen.folder).values(worked_at=now()))


def pulse(session: Session) -> datetime | None:
    """Return when a worker last showed that it lives, on any host; None: none ever has.

    One that may work shows it by having worked: one that fails at once looks in again and again.
    """
    shown = case(
        (Host.held_because.is_not(None), Host.seen_at),
        else_=func.coalesce(Host.worked_at, Host.seen_at),
    )
    at: datetime | None = session.scalar(select(func.max(shown)))
    return at


def is_dead(pulse: datetime | None, at: datetime) -> bool:
    """Tell whether no worker lives; a pulse in the future is one of a clock that was ahead."""
    return pulse is None or abs(at - pulse) > RECENT_WORK


def is_on(session: Session) -> bool:
    """Tell whether nothing is sent: a host is held, and no other has worked lately."""
    is_held = exists().where(Host.held_because.is_not(None))
    is_working = exists().where(Host.held_because.is_(None), Host.seen_at > now() - RECENT_WORK)
    return bool(session.scalar(select(is_held & ~is_working)))


def is_working(session: Session, seen: HostState) -> bool:
    """Tell whether a worker with another state folder has looked in within half a minute."""
    late = exists().where(Host.folder != seen.folder, Host.seen_at > now() - SEEN_LATELY)
    return bool(session.scalar(select(late)))


def other_hosts(session: Session, seen: HostState) -> int:
    """Count the other hosts that are held."""
    held = select(func.count(Host.id)).where(
        Host.held_because.is_not(None), Host.folder != seen.folder
    )
    return session.scalar(held) or 0


def waiting(session: Session) -> dict[str, int]:
    """Count what waits by itself: deliveries by state, requests, issues for their time."""
    unfinished = (State.QUEUED, State.SENDING, State.DEFERRED, State.UNCERTAIN)
    by_state = select(Delivery.state, func.count()).group_by(Delivery.state)
    by_state = by_state.where(Delivery.state.in_(unfinished), Delivery.due_at.is_not(None))
    scheduled = select(func.count(Newsletter.id)).where(
        Newsletter.queued_at.is_(None), Newsletter.due_at.is_not(None)
    )
    counts = Counter(dict(session.execute(by_state).all()))
    planned = select(func.sum(Chunk.planned)).where(
        Chunk.inserted.is_(None), Chunk.is_halted.is_(False)
    )
    counts[State.QUEUED.value] += session.scalar(planned) or 0
    counts["requests"] = session.scalar(select(func.count(Job.id))) or 0
    counts["scheduled"] = session.scalar(scheduled) or 0
    return +counts


def in_words(waiting: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in waiting.items())


def database_identity(session: Session) -> str:
    """Name the database's file or cluster, so that a copy of it is another one."""
    url = session.get_bind().engine.url
    if url.get_backend_name() == "sqlite":
        return f"inode {Path(url.database or '').stat().st_ino}"
    try:
        with session.begin_nested():
            system = session.scalar(text(SYSTEM))
    except ProgrammingError:
        system = "?"
    return f"cluster {system}, database {session.scalar(text(DATABASE))}"


def timeline(session: Session) -> str:
    """Name PostgreSQL's timeline, another one after each failover; "" where it is not told."""
    if session.get_bind().engine.url.get_backend_name() == "sqlite":
        return ""
    session.flush()  # what the database refuses of that is no answer about its timeline
    try:
        with session.begin_nested():
            return str(session.scalar(text(TIMELINE)))
    except (ProgrammingError, *NO_DATABASE):
        return ""


def _has_retry_call(session: Session, host: Host) -> bool:
    """Tell whether a host that worked when we did last has yet to look at a standby that took over.

    It alone knows what it did in the seconds that may be missing.
    """
    current = timeline(session)
    others = exists().where(
        Host.folder != host.folder,
        Host.held_because.is_(None),
        Host.timeline.not_in(["", current]),
        Host.seen_at > host.seen_at - RECENT_WORK,
    )
    return bool(current) and bool(session.scalar(select(others)))


def _host(session: Session, seen: HostState) -> Host | None:
    found = select(Host).where(Host.folder == seen.folder)
    return session.scalar(found.execution_options(populate_existing=True))


def _why_unknown(session: Session, seen: HostState) -> str | None:
    """Tell a new host from a new database and from a copy.

    Nobody has worked here, and this host nowhere else, or nothing has ever been sent from here: so
    a new installation begins to work by itself.
    """
    is_met = session.scalar(select(exists().where(Host.id.is_not(None))))
    if seen.epoch == 0:
        return "unknown" if is_met else None
    has_left = exists().where(Delivery.state != State.QUEUED)
    if is_met or session.scalar(select(has_left)):
        return "forgotten"
    is_used = exists().where(Delivery.id.is_not(None)) | exists().where(Chunk.id.is_not(None))
    return "another" if session.scalar(select(is_used)) else None


def _go_on(session: Session, host: Host, seen: HostState) -> None:
    host.epoch = max(host.epoch, seen.epoch) + 1
    host.seen_at, host.timeline = now(), timeline(session)
    seen.epoch, seen.is_pending = host.epoch, False
    seen.machine, seen.place = machine_id(), database_identity(session)
