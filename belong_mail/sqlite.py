"""A SQLite file: opened only where it is, and written to by one after the other."""

import sqlite3
import time
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL

PATIENCE = 10
"""Seconds that a transaction waits for another one's end, in SQLite."""
LOOK_EVERY = 0.001
"""Seconds between two looks at another one's end."""
PRAGMAS = (
    "journal_mode=WAL",
    "foreign_keys=ON",
    "synchronous=FULL",  # a power cut takes back nothing: no joining, and no claim of what has left
    "secure_delete=ON",
    "cache_size=-256",  # KB, of 2,000 by default: what is read again, the system keeps as well
)


def connect(url: URL) -> sqlite3.Connection:
    """Open a file that is there; wait up to `timeout` seconds where another process writes."""
    name = f"file:{quote(url.database or '')}?mode=rw"
    connection = sqlite3.connect(
        name, uri=True, timeout=_patience(url), check_same_thread=False, isolation_level=None
    )
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def begin(connection: Any) -> None:
    """Begin a transaction: one of `is_reading` cannot write, any other has the write lock."""
    is_reading = connection.get_execution_options().get("is_reading", False)
    if connection.info.get("is_reading", False) != is_reading:
        # Only then: SQLite prepares every statement of a connection anew after it.
        connection.exec_driver_sql(f"PRAGMA query_only={'ON' if is_reading else 'OFF'}")
        connection.info["is_reading"] = is_reading
    if is_reading:
        connection.exec_driver_sql("BEGIN")
    else:
        _begin_writing(connection)


def _begin_writing(connection: Any) -> None:
    """Wait for the write lock, looking for it often.

    SQLite itself would sleep ever longer, and whoever comes later would take the lock first.
    """
    driver, patience = connection.connection.driver_connection, _patience(connection.engine.url)
    until = time.monotonic() + patience
    driver.execute("PRAGMA busy_timeout=0")
    try:
        while time.monotonic() < until:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    break
                time.sleep(LOOK_EVERY)
            else:
                return
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        driver.execute(f"PRAGMA busy_timeout={patience * 1000:.0f}")


def _patience(url: URL) -> float:
    return float(str(url.query.get("timeout", PATIENCE)))
