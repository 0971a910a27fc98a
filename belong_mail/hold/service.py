"""Whether a host may work on the database before it, and what would leave if it did."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

from sqlalchemy import exists, func, select, text, update
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from belong_mail.db import now
from belong_mail.hold.models import Host
from belong_mail.hold.witness import Seen, machine
from belong_mail.newsletters.models import Newsletter
from belong_mail.sending.models import Chunk, Delivery, State
from belong_mail.subscriptions.models import Request

REASONS = {
    "unknown": "this host's state folder has not worked on this database before. Either the"
    " database is a copy, or the host or its state folder is new.",
    "older": "the database is older than what this host last saw: it is a restored copy. What"
    " left since then would leave again.",
    "newer": "the database is newer than what this host last saw: a copy of this host works on it"
    " too, or the state folder is a restored copy.",
    "elsewhere": "the database is not the same file or cluster that this host last saw: it is a"
    " copy, or it has been moved.",
    "moved": "the state folder comes from another machine: this one is a clone, or has been moved.",
    "clock": "this machine's clock is days behind, or two months ahead of, what the database last"
    " saw. Put it right and all goes on; or, if it is right, release it.",
    "restored": "the database was put back from a copy. What left since then would leave again.",
    "asked": "somebody asked for it, by `hold begin`.",
}
BACK, FAR = timedelta(days=2), timedelta(days=60)
"""A clock that is further off would let things expire, or wait, that must not."""
LATELY = timedelta(seconds=30)
RECENT = timedelta(minutes=2)
SYSTEM = "SELECT system_identifier FROM pg_control_system()"
DATABASE = "SELECT oid FROM pg_database WHERE datname = current_database()"


def why(session: Session, seen: Seen) -> str | None:
    """Return why a host that has seen this must not work here, a key of REASONS; None: it may."""
    host = _host(session, seen)
    if host is None:
        return None if _is_first(session, seen) else "unknown"
    if host.held_because is not None:
        return host.held_because
    differences = {
        "older": host.epoch < seen.epoch,
        "newer": host.epoch > seen.epoch + seen.is_pending,
        "elsewhere": seen.place not in {"", place(session)},
        "clock": not -BACK < now() - host.seen_at < FAR,
        "moved": "" not in {seen.machine, machine()} and seen.machine != machine(),
    }
    return next((reason for reason, is_so in differences.items() if is_so), None)


def meet(session: Session, seen: Seen) -> str | None:
    """Tell as `why` does, and write it down on both sides, within `Witness.turn`.

    Where all is well the epoch goes on: an older database is known from now on.
    """
    because = why(session, seen)
    host = _host(session, seen)
    if host is None:
        host = Host(folder=seen.folder, epoch=seen.epoch)
        session.add(host)
    if because == "clock":
        return because
    host.held_because, host.seen_at = because, now()
    if because is None:
        _go_on(session, host, seen)
    return because


def begin(session: Session, because: str, seen: Seen) -> None:
    """Hold every host that has worked on this database, and this one."""
    session.execute(update(Host).values(held_because=because))
    if _host(session, seen) is None:
        session.add(Host(folder=seen.folder, epoch=seen.epoch, held_because=because))


def release(session: Session, seen: Seen) -> None:
    """Let this host work on this database from now on, within `Witness.turn`."""
    host = _host(session, seen)
    if host is None:
        host = Host(folder=seen.folder, epoch=seen.epoch)
        session.add(host)
    host.held_because = None
    _go_on(session, host, seen)


def is_on(session: Session) -> bool:
    """Tell whether nothing is sent: a host is held, and no other has worked lately."""
    is_held = exists().where(Host.held_because.is_not(None))
    is_working = exists().where(Host.held_because.is_(None), Host.seen_at > now() - RECENT)
    return bool(session.scalar(select(is_held & ~is_working)))


def is_working(session: Session, seen: Seen) -> bool:
    """Tell whether a worker with another state folder has looked in within half a minute."""
    late = exists().where(Host.folder != seen.folder, Host.seen_at > now() - LATELY)
    return bool(session.scalar(select(late)))


def others(session: Session, seen: Seen) -> int:
    """Count the other hosts that are held."""
    held = select(func.count(Host.id)).where(
        Host.held_because.is_not(None), Host.folder != seen.folder
    )
    return session.scalar(held) or 0


def waiting(session: Session) -> dict[str, int]:
    """Count what waits: deliveries by state, requests, issues for their time."""
    unfinished = (State.QUEUED, State.SENDING, State.DEFERRED, State.UNCERTAIN)
    by_state = select(Delivery.state, func.count()).group_by(Delivery.state)
    by_state = by_state.where(Delivery.state.in_(unfinished), Delivery.due_at.is_not(None))
    scheduled = select(func.count(Newsletter.id)).where(
        Newsletter.queued_at.is_(None), Newsletter.due_at.is_not(None)
    )
    counts = Counter(dict(session.execute(by_state).all()))
    planned = select(func.sum(Chunk.planned)).where(Chunk.inserted.is_(None))
    counts[State.QUEUED.value] += session.scalar(planned) or 0
    counts["requests"] = session.scalar(select(func.count(Request.id))) or 0
    counts["scheduled"] = session.scalar(scheduled) or 0
    return +counts


def place(session: Session) -> str:
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


def _host(session: Session, seen: Seen) -> Host | None:
    found = select(Host).where(Host.folder == seen.folder)
    return session.scalar(found.execution_options(populate_existing=True))


def _is_first(session: Session, seen: Seen) -> bool:
    """Nobody has worked here, and this host nowhere else, or nothing has ever been sent from here.

    So a new installation begins to work by itself.
    """
    if session.scalar(select(exists().where(Host.id.is_not(None)))):
        return False
    is_used = exists().where(Delivery.id.is_not(None)) | exists().where(Chunk.id.is_not(None))
    return seen.epoch == 0 or not session.scalar(select(is_used))


def _go_on(session: Session, host: Host, seen: Seen) -> None:
    host.epoch = max(host.epoch, seen.epoch) + 1
    host.seen_at = now()
    seen.epoch, seen.is_pending = host.epoch, False
    seen.machine, seen.place = machine(), place(session)
