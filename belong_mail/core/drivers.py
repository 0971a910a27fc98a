"""Connect to the database without SQLAlchemy, whose import takes longer than writing a row."""

import os
import sqlite3
import stat
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

# Bounds of times. Others, such as PostgreSQL's `-infinity`, load as the nearest one, and invalid
# text on SQLite as the first: otherwise the web could write a row that cannot be loaded.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
# Seconds that SQLite waits for the write lock.
BUSY_TIMEOUT_SECONDS: Final = 10
# Seconds between attempts to get the lock; with 0.001 the slowest forms wait a fifth longer.
BUSY_POLL_SECONDS: Final = 0.0003
# Seconds that an upgrade, a move or `belong purge` waits for SQLite's write lock.
LONG_WAIT_SECONDS = 600
# Mode of a database file and of the WAL beside it, whatever the umask.
NEW_FILE_MODE = stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP
PRAGMAS: Final = (
    "journal_mode=WAL",
    "foreign_keys=ON",
    "synchronous=FULL",  # a power cut undoes no commit: no sign-up, and no claim of sent email
    "secure_delete=ON",
    "cache_size=-256",  # KB, instead of 2,000: the system caches what is read again anyway
)
# Seconds that a PostgreSQL statement may take: less than a page may.
STATEMENT_SECONDS: Final = 7.0
# Seconds until a connection is open and authenticated.
CONNECT_SECONDS: Final = 4
# libpq's options for broken networks; the URL overrides them.
POSTGRESQL_LINK: Final = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": int(STATEMENT_SECONDS * 1000),
}


def parse_sqlite_url(url: str) -> tuple[str, float]:
    """Return the file of `sqlite:///FILE?timeout=SECONDS`, and the seconds to wait for locks."""
    parts = urlsplit(url)
    [timeout] = parse_qs(parts.query).get("timeout", [str(BUSY_TIMEOUT_SECONDS)])
    return unquote(parts.path.removeprefix("/")), float(timeout)


def connect_sqlite(file: str, timeout: float) -> sqlite3.Connection:
    """Connect to an existing file; `timeout` is how many seconds to wait for the write lock."""
    connection = sqlite3.connect(
        f"file:{quote(file)}?mode=rw",
        uri=True,
        timeout=timeout,
        check_same_thread=False,
        isolation_level=None,
    )
    # By default a text that is not UTF-8 fails as a missing database would.
    connection.text_factory = lambda text: text.decode(errors="replace")
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def lock_sqlite(connection: sqlite3.Connection, timeout: float) -> bool:
    """Begin a transaction with the write lock; return False if it was not free in time.

    Polls at a fixed pace: SQLite's own retries get ever slower, so later callers would win. Raises
    all other errors.
    """
    until = time.monotonic() + timeout
    connection.execute("PRAGMA busy_timeout=0")
    try:
        while time.monotonic() < until:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                time.sleep(BUSY_POLL_SECONDS)
            else:
                return True
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout={timeout * 1000:.0f}")


def create_file(file: Path) -> None:
    """Create an empty file, or remove other users' rights from an existing one.

    The file's group may write, or has no access: an SQLite WAL is unreadable with read access only.
    """
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, stat.S_IRUSR)
    except FileExistsError:
        for each in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
            # A file is missing, or owned by another user, whose next upgrade will set the mode.
            with suppress(FileNotFoundError, PermissionError):
                before = stat.S_IMODE(each.stat().st_mode)
                after = NEW_FILE_MODE if before & stat.S_IRGRP else NEW_FILE_MODE & ~stat.S_IRWXG
                if before != after:
                    each.chmod(after)
    else:
        os.fchmod(descriptor, NEW_FILE_MODE)
        os.close(descriptor)


def begin_sqlite(connection: Any, timeout: float) -> None:
    """Begin a transaction: read-only if `is_reading`, otherwise with the write lock."""
    options = connection.get_execution_options()
    is_reading = options.get("is_reading", False)
    if connection.info.get("is_reading", False) != is_reading:
        # only if it changes, as SQLite then prepares all statements of the connection again
        connection.exec_driver_sql(f"PRAGMA query_only={'ON' if is_reading else 'OFF'}")
        connection.info["is_reading"] = is_reading
    if is_reading:
        connection.connection.driver_connection.execute("BEGIN")
    else:
        has_time = options.get("has_time", False)
        _begin_immediate(connection, LONG_WAIT_SECONDS if has_time else timeout)


def _begin_immediate(connection: Any, timeout: float) -> None:
    """Wait for the write lock; errors are raised as SQLAlchemy's."""
    driver = connection.connection.driver_connection
    with suppress(sqlite3.OperationalError):
        if lock_sqlite(driver, timeout):
            return
    driver.execute("PRAGMA busy_timeout=0")  # the time is over
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        driver.execute(f"PRAGMA busy_timeout={timeout * 1000:.0f}")
