"""Timeouts for PostgreSQL, so that a silent server or frozen host blocks no one long."""

import datetime as dt
import select
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import Any, Self

from psycopg import Connection, Cursor, DataError, OperationalError, Pipeline, adapters
from psycopg.adapt import Loader
from psycopg.errors import ConnectionTimeout
from psycopg.generators import send
from psycopg.pq import Format, TransactionStatus
from sqlalchemy import Engine, ExceptionContext, event
from sqlalchemy.exc import DataError as RowRefused

from belong_mail.core.drivers import (
    CONNECT_SECONDS,
    EARLIEST,
    LATEST,
    POSTGRESQL_LINK,
    STATEMENT_SECONDS,
)

# Seconds in which a pooled connection must answer a ping before it is reused.
PING_SECONDS = 3.0
# Seconds in which a pooled connection is reused without a ping, unless the server has closed it.
FRESH_SECONDS = 1.0
# Seconds after a timeout in which callers fail at once.
REST_SECONDS = 3.0
# A session's timeouts. The server's limit for a statement is shorter than ours, so that the session
# survives.
SESSION_LIMITS = {
    "lock_timeout": "5s",
    "statement_timeout": f"{STATEMENT_SECONDS - 1:.0f}s",
    "idle_in_transaction_session_timeout": "15s",
}
# Sets those timeouts that neither URL, role, database nor configuration file sets.
_LIMIT = """
SELECT set_config(name, value, false) FROM pg_settings
JOIN (VALUES {}) AS wanted (setting_name, value) ON name = setting_name WHERE source = 'default'
""".format(", ".join(f"('{name}', '{value}')" for name, value in SESSION_LIMITS.items()))
_UNLIMIT = [f"SET LOCAL {name} = 0" for name in SESSION_LIMITS]
# Errors about one row, by SQLSTATE or its class: out of memory for it, or beyond a limit.
_REFUSED = ("53200", "54", "XX000")
BOUNDS: dict[str, tuple[Any, Any]] = {
    "timestamptz": (EARLIEST, LATEST),
    "date": (EARLIEST.date(), LATEST.date()),
    "time": (dt.time.min, dt.time.max),  # PostgreSQL also accepts 24:00
}


def _bounded_loader(name: str, encoding: Format) -> type[Loader]:
    """Return a loader for a type that clamps values to its BOUNDS."""
    least, most = BOUNDS[name]
    unbounded: Any = adapters.get_loader(adapters.types[name].oid, encoding)

    class Bounded(Loader):
        format = encoding

        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self._load = unbounded(*given).load

        def load(self, data: Any) -> Any:
            try:
                return min(max(self._load(data), least), most)
            except DataError:
                written = bytes(data)
                if encoding is Format.BINARY:
                    return least if written[0] & 0x80 else most
                return least if written.startswith(b"-") or written.endswith(b"BC") else most

    return Bounded


LOADERS = [
    (name, _bounded_loader(name, encoding))
    for name in BOUNDS
    for encoding in (Format.TEXT, Format.BINARY)
]


class CircuitBreaker:
    """After a timeout, fails callers at once until one of them has probed the server."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._until = 0.0

    def start(self) -> None:
        self._until = time.monotonic() + REST_SECONDS

    def stop(self) -> None:
        self._until = 0.0

    def is_over(self) -> bool:
        """Return whether to ask the server; after a pause, one caller at a time may probe it."""
        with self._lock:
            if self._until == 0.0:
                return True
            if time.monotonic() < self._until:
                return False
            self._until = time.monotonic() + CONNECT_SECONDS + REST_SECONDS
            return True


class SyncedPipeline(Pipeline):
    """Ends with Sync: after psycopg's Flush, PostgreSQL's idle timeouts do not run.

    A host that froze then would hold its locks forever.
    """

    def _exit_gen(self) -> Iterator[Any]:  # type: ignore[override]
        try:
            self._enqueue_sync()
            yield from self._communicate_gen()
        finally:
            yield from send(self.pgconn)  # The rest of what the socket did not take at once.
            yield from self._fetch_gen(flush=False)


class Impatient(Connection[Any]):
    """A connection that is closed if the server does not answer in time."""

    breaker: CircuitBreaker
    # Seconds for each statement; None: no limit.
    patience: float | None = STATEMENT_SECONDS
    # The monotonic time at which it was last given back to the pool.
    used_at = float("-inf")

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.cursor_factory = PromptCursor
        self.ahead: list[str] = []
        """Commands to send together with the transaction's next statement."""

    def is_fresh(self) -> bool:
        """Return whether it was just in use and was not closed since."""
        return time.monotonic() <= self.used_at + FRESH_SECONDS and not self.has_failed()

    def has_failed(self) -> bool:
        """Return whether its transaction has failed, or the server said why it closed it."""
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return self.pgconn.transaction_status == TransactionStatus.INERROR or bool(poll.poll(0))

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer; after a timeout the transaction's outcome is unknown."""
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except OperationalError:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.pgconn.finish()
            self.breaker.start()
            raise ConnectionTimeout("the server is silent") from None

    def _start_query(self) -> Iterator[Any]:  # type: ignore[override]
        """Send BEGIN and `ahead`, in a pipeline without waiting for the answers."""
        commands: list[Any] = [self._get_tx_start_command()] if self._has_to_begin() else []
        commands, self.ahead = commands + self.ahead, []
        for command in commands:
            yield from self._exec_command(command)
        # In a pipeline, psycopg would end its prepared statements after it has prepared this one.
        yield from self._prepared.maintain_gen(self)

    def _has_to_begin(self) -> bool:
        return not self.autocommit and self.pgconn.transaction_status == TransactionStatus.IDLE

    def prompt(self) -> AbstractContextManager[object]:
        """Return a pipeline for one statement if BEGIN or other commands are to go with it.

        If the server has closed the connection, a pipeline would not say why.
        """
        is_needed = self._pipeline is None and (self.ahead or self._has_to_begin())
        return self.pipeline() if is_needed and not self.has_failed() else nullcontext()

    @contextmanager
    def pipeline(self) -> Iterator[Pipeline]:
        """Send the statements of the block in one round trip."""
        self._pipeline = together = SyncedPipeline(self)
        try:
            with together:
                yield together
        finally:
            self._pipeline = None


class PromptCursor(Cursor[Any]):
    """Sends BEGIN and savepoints in one round trip with the statement after them."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        is_script = not params and ";" in str(query)  # A pipeline takes one command at a time.
        connection: Any = self.connection
        with nullcontext() if is_script else connection.prompt():
            return super().execute(query, params, **options)


def configure_engine(engine: Engine) -> None:
    """Set an engine's timeouts: for connecting, pings, statements, locks and transactions."""
    breaker, ping = CircuitBreaker(), engine.dialect.do_ping

    def ping_unless_fresh(connection: Any) -> bool:
        return connection.is_fresh() or ping(connection)

    engine.dialect.do_ping = ping_unless_fresh  # type: ignore[assignment, method-assign]
    engine.dialect.do_savepoint = _set_savepoint  # type: ignore[method-assign]
    engine.dialect.do_release_savepoint = _release_savepoint  # type: ignore[method-assign]

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, given: Any, options: dict[str, Any]) -> Impatient:
        if not breaker.is_over():
            raise ConnectionTimeout("the server was silent a moment ago")
        try:
            connection = Impatient.connect(*given, **{**POSTGRESQL_LINK, **options})
        except ConnectionTimeout:
            breaker.start()
            raise
        except OperationalError:
            breaker.stop()
            raise
        connection.breaker = breaker
        for name, loader in LOADERS:
            connection.adapters.register_loader(name, loader)
        return connection

    @event.listens_for(engine, "handle_error")
    def refuse(context: ExceptionContext) -> None:
        """Raise RowRefused for an error about one row, so that it does not count as an outage."""
        cause = context.original_exception
        if str(getattr(cause, "sqlstate", "")).startswith(_REFUSED):
            raise RowRefused(context.statement, None, cause, hide_parameters=True)

    event.listen(engine, "connect", _limit)
    event.listen(engine, "checkin", _expect_a_ping)
    event.listen(engine, "begin", _begin)


def _limit(connection: Impatient, _record: Any) -> None:
    connection.autocommit = True
    connection.execute(_LIMIT)
    connection.autocommit = False
    connection.breaker.stop()


def _expect_a_ping(connection: Impatient | None, _record: Any) -> None:
    if connection is not None:
        connection.patience = PING_SECONDS
        connection.ahead.clear()
        connection.used_at = time.monotonic()


def _set_savepoint(connection: Any, name: str) -> None:
    connection.connection.driver_connection.ahead.append(f"SAVEPOINT {name}")


def _release_savepoint(connection: Any, name: str) -> None:
    driver, command = connection.connection.driver_connection, f"RELEASE SAVEPOINT {name}"
    if driver.has_failed():
        connection.exec_driver_sql(command)  # Its error belongs to the block.
    else:
        driver.ahead.append(command)


def _begin(connection: Any) -> None:
    options, driver = connection.get_execution_options(), connection.connection.driver_connection
    driver.patience, driver.ahead = STATEMENT_SECONDS, []
    if options.get("has_time", False):
        driver.patience = None
        driver.ahead += _UNLIMIT
    if options.get("is_reading", False):
        driver.ahead.append("SET TRANSACTION READ ONLY")
