"""Tell what an error of the database means: gone, locked, too slow, or full."""

import time

from sqlalchemy import Connection, Engine, ExceptionContext, event, text
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

# Errors of a database that is locked, full, read-only, down, cut off or silent: it may recover.
NO_DATABASE = (InterfaceError, InternalError, OperationalError)
# Rest before what met a lock is tried again: three times the wait, so that others get on.
LOCK_REST_SECONDS = 15.0


def error_name(error: Exception) -> str:
    """Describe an error by type, and its cause as the database calls it; no values, no paths."""
    kind, cause = type(error).__name__, getattr(error, "orig", None)
    code = getattr(cause, "sqlite_errorname", None) or (type(cause).__name__ if cause else None)
    code = code or (error.strerror if isinstance(error, OSError) else None)
    return kind if code in {None, kind} else f"{kind}: {code}"


def is_too_slow(error: Exception) -> bool:
    """Return whether PostgreSQL ended a statement that ran, or waited for a lock, too long."""
    return _cause(error) == "QueryCanceled" or is_locked(error)


def has_idled(error: Exception) -> bool:
    """Return whether PostgreSQL closed a connection that was silent within a transaction."""
    return _cause(error) == "IdleInTransactionSessionTimeout"


def is_locked(error: BaseException | None) -> bool:
    """Return whether PostgreSQL ended a statement that waited for a lock (soon free, maybe)."""
    return _cause(error) in {"LockNotAvailable", "DeadlockDetected"}


def _cause(error: BaseException | None) -> str:
    return type(getattr(error, "orig", None)).__name__


# Waits for the locks that follow in a transaction only briefly.
HURRIED = text("SET LOCAL lock_timeout = '100ms'")


def hurry_after_locks(engine: Engine) -> None:
    """Wait for locks only briefly for a while after one was waited for in vain.

    Whoever holds that one may hold a hundred.
    """
    hurried_until = 0.0

    @event.listens_for(engine, "handle_error")
    def note(context: ExceptionContext) -> None:
        nonlocal hurried_until
        # A brief wait that was in vain says little: it makes no other one brief.
        if is_locked(context.sqlalchemy_exception) and time.monotonic() > hurried_until:
            hurried_until = time.monotonic() + LOCK_REST_SECONDS

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if time.monotonic() < hurried_until:
            connection.exec_driver_sql(HURRIED.text)


def is_disk_full(error: Exception) -> bool:
    """Return whether a database had no room to write."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorname", "")
    return code == "SQLITE_FULL" or _cause(error) == "DiskFull"
