"""Hold sending: decide whether a host may work on this database, and count what would be sent."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import case, exists, func, select, text, update
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Mapped, Session, mapped_column

from belong_mail.core import audit
from belong_mail.core.database_errors import NO_DATABASE
from belong_mail.core.db import IdBase, ago, now
from belong_mail.core.jobs import Job
from belong_mail.delivery.models import Chunk, Delivery, State
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops.host_state import HostState, machine_id


class Host(IdBase):
    """A state folder whose workers use this database; its state file has the same id and epoch."""

    __tablename__ = "hosts"

    folder: Mapped[str] = mapped_column(unique=True)
    # Counts up from 0 while a worker runs, together with the state file's.
    epoch: Mapped[int]
    # A key of `REASONS`; None: it may send.
    held_because: Mapped[str | None]
    # When one of its workers last checked the database, on hold or not.
    seen_at: Mapped[datetime] = mapped_column(default=now)
    # The heartbeat: when one of its workers last finished all that was due.
    worked_at: Mapped[datetime | None]
    # When someone asked that its workers try a resting relay again.
    retry_asked_at: Mapped[datetime | None]
    # PostgreSQL's timeline when it last worked.
    timeline: Mapped[str] = mapped_column(default="", server_default="")


CHANGED, WRONG_KEYS = "changed", "keys"
REASONS = {
    "asked": "someone ran `hold begin` or `db move`. A database that was moved away stays on hold:"
    " name the new one in BELONG_DATABASE_URL.",
    "restored": "the database was restored from a copy. Email sent since then would be sent again.",
    CHANGED: "this host and the database are not as they last met; `hold status` says what changed."
    " If one of them is a copy, email that waits here may have been sent already.",
    WRONG_KEYS: "this worker's keys do not open what is in the database. `doctor` says which. Put"
    " the right ones in place and restart the worker. Nothing is lost.",
}
WAYS_OUT = {
    "asked": "`hold release` ends the hold, and what waits is sent.",
    WRONG_KEYS: "Correct that first.",
}
DOUBT = (
    "`hold release --doubt` if it may have been sent since: newsletters pause, so that nobody gets"
    " them twice. `hold release` if not: what waits is sent."
)
LACKING = (
    "when a worker last looked, the database lacked what that had done (an older copy was restored,"
    " or a standby took over), or something has changed back since"
)
# A clock that is further ahead would let email and data expire.
CLOCK_TOO_FAR = timedelta(days=60)
SEEN_LATELY = timedelta(seconds=30)
RECENT_WORK = timedelta(minutes=2)
SYSTEM = "SELECT system_identifier FROM pg_control_system()"
TIMELINE = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"
DATABASE = "SELECT oid FROM pg_database WHERE datname = current_database()"


def host_of(session: Session, seen: HostState) -> Host | None:
    """Return this host's row, or None if it has never used this database."""
    found = select(Host).where(Host.folder == seen.folder)
    return session.scalar(found.execution_options(populate_existing=True))


def hold_reason(session: Session, host: Host | None, seen: HostState) -> str | None:
    """Return why this host must not work here, as a key of REASONS, or None."""
    if host is not None and host.held_because is not None:
        return host.held_because if host.held_because in REASONS else CHANGED
    return CHANGED if changes(session, host, seen) else None


def changes(session: Session, host: Host | None, seen: HostState) -> list[str]:
    """List what has changed since this host last used the database."""
    if host is None or host.epoch == 0:
        words = "this host's state folder has not worked on this database"
        return [words] if _is_used(session, seen) else []
    place, timeline = cluster(session)
    machines = {seen.machine, machine_id()}
    differences = {
        "the database is older than what this host last saw": host.epoch < seen.epoch,
        "another copy of this host works on the database, or the state folder was restored": (
            host.epoch > seen.epoch + seen.is_pending
        ),
        "the database is another file or cluster": seen.place not in {"", place},
        "the state folder comes from another machine": "" not in machines and len(machines) > 1,
        "a standby took over, or PostgreSQL was restored: it may lack the last seconds": (
            "" not in {host.timeline, timeline} and host.timeline != timeline
        ),
        "this machine's clock is two months ahead of what the database last saw; once it is right,"
        " all goes on": _is_clock_ahead(host),
    }
    found = [words for words, is_so in differences.items() if is_so]
    return found or ([LACKING] if host.held_because == CHANGED else [])


def check_host(
    session: Session, seen: HostState, *, is_behind: bool = False
) -> tuple[Host, str | None]:
    """Return this host and its `hold_reason`, and record both, in `HostStateFile.locked_update`.

    If all is well, both epochs count up, so that an older database can be recognized. A database
    that `is_behind` lacks this host's last work: every host is held. A clock far ahead records
    nothing.
    """
    if is_behind:
        session.execute(
            update(Host).where(Host.held_because.is_(None)).values(held_because=CHANGED)
        )
    host = host_of(session, seen)
    because = hold_reason(session, host, seen)
    if host is None:
        host = Host(folder=seen.folder, epoch=0)
        session.add(host)
    elif _is_clock_ahead(host):
        return host, because
    host.held_because, host.seen_at = because, now()
    if because is None:
        _go_on(session, host, seen)
    return host, because


def start_hold(session: Session, because: str, seen: HostState) -> None:
    """Hold every host that has used this database, and this one."""
    session.execute(update(Host).values(held_because=because))
    if host_of(session, seen) is None:
        session.add(Host(folder=seen.folder, epoch=0, held_because=because))


def release_hold(session: Session, seen: HostState) -> None:
    """End this host's hold, within `HostStateFile.locked_update`."""
    host = host_of(session, seen)
    if host is None:
        host = Host(folder=seen.folder, epoch=0)
        session.add(host)
    host.held_because = None
    audit.record(session, audit.Kind.HOLD_RELEASED)
    _go_on(session, host, seen)


def beat(session: Session, seen: HostState) -> None:
    """Record that a worker of this host has finished what was due."""
    session.execute(update(Host).where(Host.folder == seen.folder).values(worked_at=now()))


PULSE = select(
    func.max(
        case(
            (Host.held_because.is_not(None), Host.seen_at),
            else_=func.coalesce(Host.worked_at, Host.seen_at),
        )
    )
)


def pulse(session: Session) -> datetime | None:
    """Return when a worker of any host last showed that it is running, or None.

    A worker that may send counts when it has finished its work: a failing one checks in, too.
    """
    at: datetime | None = session.scalar(PULSE)
    return at


IS_ON = select(
    exists().where(Host.held_because.is_not(None))
    & ~exists().where(Host.held_because.is_(None), Host.seen_at > ago(RECENT_WORK))
)


def is_on(session: Session) -> bool:
    """Return whether nothing is sent: a host is on hold, and no other has worked recently."""
    return bool(session.scalar(IS_ON))


def is_working(session: Session, seen: HostState) -> bool:
    """Return whether a worker with another state folder has checked in within half a minute."""
    late = exists().where(Host.folder != seen.folder, Host.seen_at > now() - SEEN_LATELY)
    return bool(session.scalar(select(late)))


def other_hosts(session: Session, seen: HostState) -> int:
    """Count the other hosts on hold."""
    held = select(func.count(Host.id)).where(
        Host.held_because.is_not(None), Host.folder != seen.folder
    )
    return session.scalar(held) or 0


def waiting(session: Session) -> dict[str, int]:
    """Count what will be sent without further action: deliveries by state, jobs, newsletters."""
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


def cluster(session: Session) -> tuple[str, str]:
    """Return an id of the database's file or cluster, and PostgreSQL's timeline, or "" if unknown.

    A copy has another id; the timeline changes at a failover. Neither changes during a connection.
    """
    url, known = session.get_bind().engine.url, session.connection().info
    if url.get_backend_name() == "sqlite":
        return f"inode {Path(url.database or '').stat().st_ino}", ""
    found: tuple[str, str] | None = known.get("cluster")
    if found is None:
        system = _ask(session, SYSTEM, ProgrammingError) or "?"
        timeline = _ask(session, TIMELINE, ProgrammingError, *NO_DATABASE)
        found = f"cluster {system}, database {session.scalar(text(DATABASE))}", timeline
        if timeline:  # A standby has none, and may take over under its connections.
            known["cluster"] = found
    return found


def _ask(session: Session, question: str, *refusals: type[Exception]) -> str:
    """Return PostgreSQL's answer, or "" if it refuses this role or is a standby."""
    try:
        with session.begin_nested():
            return str(session.scalar(text(question)))
    except refusals:
        return ""


def _is_clock_ahead(host: Host) -> bool:
    return now() - host.seen_at > CLOCK_TOO_FAR


def _is_used(session: Session, seen: HostState) -> bool:
    """Return whether a database that is new to this host has been used.

    A new installation starts without a release, even if email was queued before its first worker. A
    host that has used another database never takes this one for new.
    """
    is_met = exists().where(Host.id.is_not(None))
    waits = exists().where(Delivery.id.is_not(None)) | exists().where(Chunk.id.is_not(None))
    return bool(session.scalar(select(is_met | waits if seen.epoch else is_met)))


def _go_on(session: Session, host: Host, seen: HostState) -> None:
    host.epoch = max(host.epoch, seen.epoch) + 1
    host.seen_at = now()
    seen.epoch, seen.is_pending, seen.machine = host.epoch, False, machine_id()
    seen.place, host.timeline = cluster(session)
