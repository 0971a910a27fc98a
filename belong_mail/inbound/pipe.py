"""Store a returned message, sealed for the worker, as the command of a mail server's pipe.

`python -m belong_mail.inbound.pipe [RETURN_PATH] < MESSAGE` starts for each message, so it imports
neither Flask nor SQLAlchemy. It has no private key.
"""

import os
import resource
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final

from belong_mail.core import drivers
from belong_mail.core.encryption import Sealer, sealed_for
from belong_mail.core.environment import ROOT, value_of
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.mail.bounces import MAX_OCTETS

RETURNED: Final = "return"
# Most unread messages and bytes, so that a flood does not fill the disk.
MAX_WAITING, MAX_WAITING_OCTETS = 10_000, 100_000_000
DEFAULT_DATABASE: Final = "sqlite:///var/belong.db"
COUNT: Final = "SELECT count(id), coalesce(sum(length(sealed)), 0) FROM jobs WHERE kind = "
INSERT: Final = (
    "INSERT INTO jobs (kind, sealed, created_at, due_at, failures) VALUES ({}, {}, {}, {}, 0)"
)
TOO_MANY: Final = "Too many messages are waiting. Is the worker running?"
NO_DATABASE: Final = (
    "The database cannot be used ({}). Check BELONG_DATABASE_URL, and run `db upgrade`."
)


class InboxFull(Exception):
    """Too many messages are unread; the mail server should retry this one."""

    def __init__(self) -> None:
        super().__init__(TOO_MANY)


class DatabaseUnavailable(Exception):
    """The database cannot be written; the error says why, without quoting a value."""


def read_message(source: BinaryIO) -> bytes:
    """Read a message to its end, as the mail server expects; return the first MAX_OCTETS."""
    message = source.read(MAX_OCTETS)
    while source.read(MAX_OCTETS):
        pass
    return message


def is_forged(verp: VerpAddresses, return_path: str) -> bool:
    """Return whether an address has the form of our return paths, but not our signature."""
    return verp.has_form(return_path) and not verp.is_ours(return_path)


def seal_returned(sealer: Sealer, return_path: str, message: bytes) -> bytes:
    return sealer.seal(return_path.encode() + b"\n" + message, sealed_for(RETURNED))


def require_space(waiting: int, octets: int, more: int) -> None:
    """Raise InboxFull if too many messages or bytes are unread."""
    if waiting >= MAX_WAITING or octets + more > MAX_WAITING_OCTETS:
        raise InboxFull


def store(database_url: str, sealed: bytes) -> None:
    """Insert a sealed message. Raises InboxFull and DatabaseUnavailable."""
    try:
        if database_url.startswith("sqlite"):
            _store_in_sqlite(database_url, sealed)
        else:
            _store_in_postgresql(database_url, sealed)
    except (ImportError, ValueError) as error:  # no driver, or a URL, which it would quote
        raise DatabaseUnavailable(NO_DATABASE.format(type(error).__name__)) from error


def _store_in_sqlite(url: str, sealed: bytes) -> None:
    file, timeout = drivers.parse_sqlite_url(url)
    now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    try:
        with closing(drivers.connect_sqlite(str(ROOT / file), timeout)) as connection:
            if not drivers.lock_sqlite(connection, timeout):
                raise DatabaseUnavailable(NO_DATABASE.format("busy"))
            _insert(connection, "?", (RETURNED, sealed, now, now))
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise DatabaseUnavailable(NO_DATABASE.format(type(error).__name__)) from error


def _store_in_postgresql(url: str, sealed: bytes) -> None:
    import psycopg  # noqa: PLC0415 - dear, and SQLite does without

    milliseconds = round(drivers.STATEMENT_SECONDS * 1000)
    now = datetime.now(UTC)
    try:
        told: dict[str, Any] = {**drivers.POSTGRESQL_LINK, **postgresql_options(url)}
        # The URL's options come after ours, so that they win.
        told["options"] = f"-c statement_timeout={milliseconds} {told.get('options', '')}"
        with psycopg.connect(**told) as connection:
            _insert(connection, "%s", (RETURNED, sealed, now, now))
    except psycopg.Error as error:
        raise DatabaseUnavailable(NO_DATABASE.format(type(error).__name__)) from error


def postgresql_options(url: str) -> dict[str, Any]:
    """Return libpq's options in a URL as SQLAlchemy reads it, for which a + is a blank."""
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - as above

    address, _, query = url.replace("+psycopg", "", 1).partition("?")
    return conninfo_to_dict(f"{address}?{query.replace('+', '%20')}")


def _insert(connection: Any, mark: str, row: tuple[Any, ...]) -> None:
    waiting, octets = connection.execute(COUNT + mark, (RETURNED,)).fetchone()
    require_space(waiting, octets, len(row[1]))
    connection.execute(INSERT.format(*[mark] * len(row)), row)


def main(arguments: Sequence[str], environ: Mapping[str, str], source: BinaryIO) -> int:
    """Store one message; return 0, EX_USAGE, EX_NOUSER, or EX_TEMPFAIL to have it retried."""
    return_path = "".join(arguments).strip("<>")
    if len(arguments) > 1 or not return_path.isprintable():
        return _complain("Give one return path, and the message on standard input.", os.EX_USAGE)
    try:
        message = read_message(source)
        if is_forged(VerpAddresses(_keys("BELONG_SECRET_KEYS", environ), ""), return_path):
            return os.EX_NOUSER
        sealer = Sealer(_keys("BELONG_PUBLIC_KEYS", environ))
        sealed = seal_returned(sealer, return_path, message)
        store(_value("BELONG_DATABASE_URL", environ) or DEFAULT_DATABASE, sealed)
    except (InboxFull, DatabaseUnavailable, ValueError) as error:
        return _complain(str(error), os.EX_TEMPFAIL)
    return os.EX_OK


def _keys(name: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    keys = tuple(part.strip() for part in _value(name, environ).split(",") if part.strip())
    if not keys:
        raise ValueError(f"{name} is missing.")
    return keys


def _value(name: str, environ: Mapping[str, str]) -> str:
    """Read a setting. Errors name no file, as they go into the mail server's log."""
    try:
        return value_of(name, environ) or ""
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}_FILE names a file that cannot be read.") from error


def _complain(words: str, status: int) -> int:
    sys.stderr.write(f"Error: {words}\n")
    return status


if __name__ == "__main__":
    # No core dump: the memory holds the message.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.exit(main(sys.argv[1:], os.environ, sys.stdin.buffer))
