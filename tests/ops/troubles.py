"""Troubles that tests make for a database: locked, cut off, read-only, full."""

import resource
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine, make_url, text

from tests.processes import BYTECODE, SECONDS, Forked
from tests.waiting import wait_until

# Octets: enough for a state file, too few for a page of a database.
LITTLE = 1000
# Waits until each connection has ended: one that is about to end still looks usable to a pool.
CUT = "SELECT pg_terminate_backend(pid, 9000) FROM pg_stat_activity WHERE"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Let nobody write a SQLite database."""
    holder = sqlite3.connect(file, 60, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def cut(url: str) -> None:
    run(url, f"{CUT} datname = current_database() AND pid <> pg_backend_pid()")


@contextmanager
def down(url: str) -> Iterator[None]:
    """End every connection to a PostgreSQL database, and take no new one, as during a restart."""
    name = make_url(url).database
    beside = make_url(url).set(database="postgres").render_as_string(hide_password=False)
    run(beside, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", f"{CUT} datname = '{name}'")
    try:
        yield
    finally:
        run(beside, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """Answer as a PostgreSQL standby does."""
    name = make_url(url).database
    run(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    cut(url)
    try:
        yield
    finally:
        beside = make_url(url).set(database="postgres").render_as_string(hide_password=False)
        run(beside, f"ALTER DATABASE {name} RESET default_transaction_read_only")
        cut(url)


def run(url: str | URL, *statements: str) -> list[Any]:
    """Let a server do these; return what the last one says."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            *_, last = [connection.execute(text(each)) for each in statements]
            return list(last.scalars()) if last.returns_rows else []
    finally:
        engine.dispose()


@contextmanager
def full(processes: Iterable[int]) -> Iterator[None]:
    """Let no file of these processes grow, as on a full disk."""
    kept = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in processes}
    for pid, (_, hard) in kept.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (LITTLE, hard))
    try:
        yield
    finally:
        for pid, limits in kept.items():
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
        for each in BYTECODE.rglob("*.pyc"):  # Python keeps what it could write of a module
            if each.stat().st_size == LITTLE:
                each.unlink()


def once(act: Callable[[], None]) -> Callable[[str], None]:
    """Make a hook for the mail server that acts the first time."""
    acts = [act]
    return lambda _: acts.pop()() if acts else None


def is_said(process: Forked, words: str) -> str:
    """Wait until a process has said this; return all that it has said."""
    wait_until(lambda: words in process.said() or process.poll() is not None)
    assert words in process.said(), process.said()
    return process.said()


def end(process: Forked) -> None:
    """Tell a worker to stop; it has survived, and ends well."""
    process.terminate()
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, said
