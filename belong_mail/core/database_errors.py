"""Classify database errors: unavailable, locked, too slow, full."""

import time

from sqlalchemy import Connection, Engine, ExceptionContext, event, text
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError

# Errors of a database that is locked, full, read-only, down or unreachable: it may recover.
NO_DATABASE = (InterfaceError, InternalError, OperationalError)
# Seconds before work that met a lock is tried again: three times the lock timeout.
LOCK_REST_SECONDS = 15.0


def error_name(error: Exception) -> str:
    """Name an error by its type and the database's code, without values or paths."""
    kind, cause = type(error).__name__, getattr(error, "orig", None)
    code = getattr(cause, "sqlite_errorname", None) or (type(cause).__name__ if cause else None)
    code = code or (error.strerror if isinstance(error, OSError) else None)
    return kind if code in {None, kind} else f"{kind}: {code}"


def is_too_slow(error: Exception) -> bool:
    """Return whether PostgreSQL ended a statement after its statement or lock timeout."""
    return _cause(error) == "QueryCanceled" or is_locked(error)


def has_idled(error: Exception) -> bool:
    """Return whether PostgreSQL closed a connection that idled in a transaction."""
    return _cause(error) == "IdleInTransactionSessionTimeout"


def is_locked(error: BaseException | None) -> bool:
    """Return whether PostgreSQL ended a statement that waited for a lock, or a deadlock."""
    return _cause(error) in {"LockNotAvailable", "DeadlockDetected"}


def _cause(error: BaseException | None) -> str:
    return type(getattr(error, "orig", None)).__name__


# Shortens the lock timeout for the rest of a transaction.
HURRIED = text("SET LOCAL lock_timeout = '100ms'")


def hurry_after_locks(engine: Engine) -> None:
    """Shorten the lock timeout for a while after a statement ran into it.

    Another transaction that holds one lock for long may hold a hundred.
    """
    hurried_until = 0.0

    @event.listens_for(engine, "handle_error")
    def note(context: ExceptionContext) -> None:
        nonlocal hurried_until
        # A shortened wait that failed does not prolong this.
        if is_locked(context.sqlalchemy_exception) and time.monotonic() > hurried_until:
            hurried_until = time.monotonic() + LOCK_REST_SECONDS

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if time.monotonic() < hurried_until:
            connection.exec_driver_sql(HURRIED.text)


def is_disk_full(error: Exception) -> bool:
    code = getattr(getattr(error, "orig", None), "sqlite_errorname", "")
    return code in {"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"} or _cause(error) == "DiskFull"
