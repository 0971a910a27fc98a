"""Measure a PostgreSQL server on this machine: its processes' CPU, its log, its size."""

import time
from contextlib import suppress
from pathlib import Path

from psutil import NoSuchProcess, Process
from sqlalchemy import make_url, text

from tests.bench.rig.product import engine_of

WAL = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
SIZE = "SELECT pg_database_size(current_database())"


def ask(url: str, statement: str) -> int:
    """Return the one number that a statement asks a database for."""
    with engine_of(url) as engine, engine.connect() as connection:
        return int(connection.scalar(text(statement)))


def order(url: str, *statements: str) -> None:
    """Have a database do something that is no part of a transaction."""
    with engine_of(url) as engine, engine.connect() as connection:
        outside = connection.execution_options(isolation_level="AUTOCOMMIT")
        for each in statements:
            outside.execute(text(each))


def size(url: str) -> int:
    """Return the octets that a database takes on disk, with its indexes."""
    if not url.startswith("sqlite"):
        return ask(url, SIZE)
    order(url, "PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(str(make_url(url).database)).stat().st_size


def earlier(url: str, table: str, column: str, days: int) -> str:
    """Return what lets so many days pass for a column of times."""
    then = f"{column} - interval '{days} days'"
    if url.startswith("sqlite"):
        then = f"strftime('%Y-%m-%d %H:%M:%f', {column}, '-{days} days')"
    return f"UPDATE {table} SET {column} = {then} WHERE {column} IS NOT NULL"  # noqa: S608 - ours


def wal(url: str) -> int:
    """Return how many octets a server has ever written ahead; 0 of SQLite."""
    return 0 if url.startswith("sqlite") else ask(url, WAL)


def connections(url: str) -> int:
    """Return how many sessions a server has for a database, but for ours; 0 of SQLite."""
    return 0 if url.startswith("sqlite") else ask(url, SESSIONS) - 1


def cpu(url: str) -> float:
    """Return the seconds of CPU of a server and of all that it ever started; 0 of SQLite."""
    if url.startswith("sqlite"):
        return 0.0
    with engine_of(url) as engine, engine.connect() as connection:
        folder = Path(str(connection.scalar(text("SHOW data_directory"))))
    # A session that has just ended is counted with the server, once that has noticed.
    time.sleep(0.2)
    return cpu_of_tree(int((folder / "postmaster.pid").read_text().split()[0]))


def cpu_of_tree(process: int) -> float:
    """Return the seconds of CPU of a process, its children, and those of them that have ended."""
    used = 0.0
    for each in _tree(process):
        with suppress(NoSuchProcess):
            used += sum(each.cpu_times()[:4])
    return used


def memory_of_tree(process: int) -> int:
    """Return the octets that a process and its children hold, each shared page by its share."""
    return sum(int(each.memory_full_info().pss) for each in _tree(process))


def _tree(process: int) -> list[Process]:
    first = Process(process)
    return [first, *first.children(recursive=True)]
