"""Measure a PostgreSQL server on this machine: its processes' CPU, its log, its size."""

import os
import time
from contextlib import suppress
from pathlib import Path

from sqlalchemy import make_url, text

from tests.bench.rig.product import engine_of

TICKS = os.sysconf("SC_CLK_TCK")
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


def name(url: str) -> str:
    """Name a database."""
    return str(make_url(url).database)


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
    first = _postmaster(url)
    # A session that has just ended is counted with the server, once that has noticed.
    time.sleep(0.2)
    return _used(first, with_ended=True) + sum(_used(each) for each in _children_of(first))


def cpu_of_tree(process: int) -> float:
    """Return the seconds of CPU of a process and of its children."""
    below = sum(cpu_of_tree(each) for each in _children_of(process))
    return _used(process, with_ended=True) + below


def memory_of_tree(process: int) -> int:
    """Return the octets that a process and its children hold, each shared page by its share."""
    held = Path(f"/proc/{process}/smaps_rollup").read_text()
    own = int(held.partition("\nPss:")[2].split()[0]) * 1024
    return own + sum(memory_of_tree(each) for each in _children_of(process))


def _postmaster(url: str) -> int:
    folder = Path(str(_setting(url, "data_directory")))
    return int((folder / "postmaster.pid").read_text().split()[0])


def _setting(url: str, name: str) -> object:
    with engine_of(url) as engine, engine.connect() as connection:
        return connection.scalar(text("SELECT current_setting(:name)"), {"name": name})


def _parent_of(process: int) -> int:
    fields = _stat(process)
    return int(fields[1]) if fields else 0


def _children_of(process: int) -> list[int]:
    numbers = (int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit())
    return [each for each in numbers if _parent_of(each) == process]


def _used(process: int, *, with_ended: bool = False) -> float:
    fields = _stat(process)
    ticks = [int(each) for each in fields[11 : 15 if with_ended else 13]]
    return sum(ticks) / TICKS


def _stat(process: int) -> list[str]:
    """Return what /proc says of a process, from its state on; nothing of one that is gone."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return []
