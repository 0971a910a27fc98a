"""Open the database: engine, SQLite files, Base, UTC times, public ids, upserts, schema version."""

import json
import logging
import os
import secrets
import sqlite3
import stat
import time
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Engine,
    ExceptionContext,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    String,
    bindparam,
    create_engine,
    event,
    func,
    inspect,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from belong_mail.core import drivers, logs
from belong_mail.core.environment import NEWEST_REVISION
from belong_mail.core.i18n import NAMES as LANGUAGES
from belong_mail.core.i18n import known_language

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


# Errors of a database that is locked, full, read-only, down, cut off or silent: it may recover.
NO_DATABASE = (InterfaceError, InternalError, OperationalError)
# Seconds after which a statement is logged, and how much of it: the rest is a long list of columns.
SLOW_QUERY_SECONDS = 1.0
SLOW_QUERY_CHARACTERS = 300
# Rest before what met a lock is tried again: three times the wait, so that others get on.
LOCK_REST_SECONDS = 15.0
# Characters of a public id.
PUBLIC_ID_LENGTH = 22
log = logging.getLogger(__name__)
INSERT_NOTHING = "INSERT INTO jobs (kind) SELECT kind FROM jobs WHERE 1 = 0"


class UtcTime(TypeDecorator[datetime]):
    """A time: aware in Python, stored in UTC on both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("A time without a zone is not a moment.")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC)


def parse_json(source: str | bytes) -> Any:
    """Parse a JSON column; return None for what only an attacker would write there."""
    try:
        return json.loads(source)
    except (ValueError, RecursionError):
        return None


class TextByLanguage(TypeDecorator[dict[str, str]]):
    """Texts by language code, as JSON.

    The web writes them and the worker reads them, so anything else in the JSON is left out, and so
    are languages that we do not have.
    """

    impl = JSON
    cache_ok = True

    def process_result_value(self, value: Any, _dialect: Dialect) -> dict[str, str]:
        found = value.items() if isinstance(value, dict) else ()
        # JSON may escape half a character (a lone surrogate), which no message can contain.
        return {
            code: words.encode(errors="replace").decode()
            for code, words in found
            if code in LANGUAGES and isinstance(words, str)
        }


class Language(TypeDecorator[str]):
    """A language's code; one that we do not have, as the web may write, is the default."""

    impl = String
    cache_ok = True

    def process_result_value(self, value: str | None, _dialect: Dialect) -> str:
        return known_language(value)


class TextList(TypeDecorator[list[str]]):
    """Texts, as JSON; anything else that the web may have written there is left out."""

    impl = JSON
    cache_ok = True

    def process_result_value(self, value: Any, _dialect: Dialect) -> list[str]:
        found = value if isinstance(value, list) else []
        return [each.encode(errors="replace").decode() for each in found if isinstance(each, str)]


class IdList(TypeDecorator[list[int]]):
    """A list of row ids as one value: JSON for SQLite, an array's text for PostgreSQL."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: list[int] | None, dialect: Dialect) -> str:
        begin, end = "[]" if dialect.name == "sqlite" else "{}"
        return f"{begin}{','.join(map(str, value or ()))}{end}"


class _InList(FunctionElement[bool]):
    """Matches a column's value against a list."""

    inherit_cache = True


@compiles(_InList, "sqlite")
def _in_ids_sqlite(element: _InList, compiler: SQLCompiler, **options: Any) -> str:
    column, ids = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({ids}))"  # noqa: S608 - names and a bound value


@compiles(_InList, "postgresql")
def _in_ids_postgresql(element: _InList, compiler: SQLCompiler, **options: Any) -> str:
    column, ids = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} = ANY(CAST({ids} AS BIGINT[]))"


def in_ids(column: Any, name: str) -> ColumnElement[bool]:
    """Match a column against the ids bound to a name: one SQL for any number of ids."""
    return _InList(column, bindparam(name, type_=IdList()))


class CompiledStatement:
    """A statement that runs often: compiled once, then passed to the driver as it is.

    Rows are the driver's own tuples; errors are SQLAlchemy's, as for any other statement.
    """

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._made: dict[str, tuple[Any, ...]] = {}

    def run(self, connection: Connection, values: dict[str, Any]) -> tuple[list[Any], Any]:
        """Return the rows, and the driver's cursor, which counts changed rows."""
        [found] = run_together(connection, (self, values))
        return found

    def bind(self, dialect: Any, values: dict[str, Any]) -> tuple[str, Any, dict[str, Any]]:
        """Return what the driver executes: SQL, parameters, options."""
        if dialect.name not in self._made:
            self._made[dialect.name] = self._make(dialect)
        sql, given, processors, order, options = self._made[dialect.name]
        given = given | values
        for name, process in processors.items():
            given[name] = process(given[name])
        return sql, given if order is None else [given[name] for name in order], options

    def _make(self, dialect: Any) -> tuple[Any, ...]:
        made = self._statement.compile(dialect=dialect)
        processors = {
            name: process
            for bind, name in made.bind_names.items()
            if (process := bind.type.dialect_impl(dialect).bind_processor(dialect))
        }
        options = {} if dialect.positional else {"binary": True}
        return str(made), made.params, processors, made.positiontup, options


Call = tuple[CompiledStatement, dict[str, Any]]


def run_together(
    connection: Connection, *calls: Call, is_last: bool = False
) -> list[tuple[list[Any], Any]]:
    """Run statements that do not need each other's results: PostgreSQL gets them at once.

    BEGIN is sent with the first ones of a transaction, and COMMIT with the last, so that a database
    far away costs one round trip.
    """
    dialect: Any = connection.dialect
    driver: Any = connection.connection.driver_connection
    bound = [statement.bind(dialect, values) for statement, values in calls]
    error_of = dialect.loaded_dbapi.Error
    try:
        with nullcontext() if dialect.positional else driver.pipeline():
            cursors = [driver.execute(sql, values, **options) for sql, values, options in bound]
            if is_last and not dialect.positional:
                driver.execute("COMMIT", prepare=False)
        return [(each.fetchall() if each.description else [], each) for each in cursors]
    except error_of as error:
        if is_cut := dialect.is_disconnect(error, driver, None):
            connection.invalidate(error)
        details = {"hide_parameters": True, "connection_invalidated": is_cut, "dialect": dialect}
        statements = "; ".join(sql for sql, _, _ in bound)
        raise DBAPIError.instance(statements, None, error, error_of, **details) from error


Found = TypeVar("Found")


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {datetime: UtcTime, bytes: LargeBinary}  # noqa: RUF012 - SQLAlchemy's


# Eight bytes: four could be used up by whoever takes the next number again and again. SQLite's
# INTEGER has as many.
BigId = BigInteger().with_variant(Integer, "sqlite")


class IdBase(Base):
    """Base of tables with a number as primary key. A foreign key takes its type from here."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(BigId, primary_key=True, sort_order=-2)


def now() -> datetime:
    return datetime.now(UTC)


def new_public_id() -> str:
    """Return a random name of 128 bits, in characters that fit a URL and a command."""
    name = secrets.token_urlsafe(16)
    return new_public_id() if name.startswith("-") else name


def required(found: Found | None, missing: type[Exception]) -> Found:
    """Return what was found, or raise the caller's error for None."""
    if found is None:
        raise missing
    return found


class PublicIdBase(IdBase):
    """Base of tables with a number, and an opaque public id for links and seals."""

    __abstract__ = True

    public_id: Mapped[str] = mapped_column(default=new_public_id, unique=True, sort_order=-1)


def make_engine(url: str) -> Engine:
    """Connect to SQLite or PostgreSQL.

    Transactions of `engine.execution_options(is_reading=True)` cannot write, on either database. On
    SQLite the others take the write lock when they begin, so that none reads what another is about
    to change. `execution_options(has_time=True)` lets this wait, and a statement of PostgreSQL,
    take longer than a page may.
    """
    hidden = partial(create_engine, url, hide_parameters=True, json_deserializer=parse_json)
    if not url.startswith("sqlite"):
        from belong_mail.core import postgresql  # noqa: PLC0415 - some megabytes, for some alone

        engine = hidden(pool_pre_ping=True)
        postgresql.configure_engine(engine)
        _log_slow_queries(engine)
        return engine
    file, timeout = drivers.parse_sqlite_url(url)
    engine = hidden(creator=partial(drivers.connect_sqlite, file, timeout))
    event.listen(engine, "begin", lambda connection: begin_sqlite(connection, timeout))
    _log_slow_queries(engine)
    return engine


def _log_slow_queries(engine: Engine) -> None:
    """Log slow statements, without their values."""

    def begin(connection: Connection, *_: object) -> None:
        connection.info["began_at"] = time.perf_counter()

    def end(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        seconds = time.perf_counter() - connection.info["began_at"]
        if seconds >= SLOW_QUERY_SECONDS:
            said = {"ms": round(seconds * 1000), "statement": statement[:SLOW_QUERY_CHARACTERS]}
            logs.event(log, logging.WARNING, "query was slow", **said)

    event.listen(engine, "before_cursor_execute", begin)
    event.listen(engine, "after_cursor_execute", end)


def create(engine: Engine) -> None:
    """Create the empty file of a missing SQLite database; nothing else creates one.

    So a lost file or a disk that is not mounted is an error, not an empty database. Web and worker
    can write to it by its group; no one else can read it.
    """
    if engine.dialect.name == "sqlite":
        try:
            create_file(Path(engine.url.database or ""))
        except OSError as error:
            raise OperationalError(None, None, error) from error


def count_rows(engine: Engine) -> int:
    with engine.execution_options(is_reading=True).connect() as connection:
        counts = (select(func.count()).select_from(table) for table in Base.metadata.sorted_tables)
        return sum(connection.scalar(each) or 0 for each in counts)


def require_writable(engine: Engine) -> None:
    """Raise unless the database would accept a form; writes nothing.

    SQLite opens a read-only file, and begins a transaction, without complaint.
    """
    with engine.connect() as connection:
        connection.exec_driver_sql(INSERT_NOTHING)


def lock_for_change(session: Session, found: Select[Any]) -> Select[Any]:
    """Lock the found rows until the transaction ends, if it may write.

    Others who change them meanwhile wait, and then read the new values. Rows that only refer to
    them may still be added (FOR NO KEY UPDATE).
    """
    if session.get_bind().get_execution_options().get("is_reading", False):
        return found
    first = found.column_descriptions[0]["entity"]
    return found.with_for_update(of=first, key_share=True)


def update_if_free(
    session: Session, table: type[Base], *which: ColumnElement[bool], **values: Any
) -> None:
    """Update the rows that no one has locked, without waiting: email must not wait for the web."""
    key = inspect(table).primary_key
    free = select(*key).where(*which).with_for_update(skip_locked=True)
    try:
        with session.begin_nested():
            if session.connection().dialect.name == "postgresql":
                session.execute(text(f"LOCK {table.__tablename__} IN ROW EXCLUSIVE MODE NOWAIT"))
            session.execute(update(table).where(tuple_(*key).in_(free)).values(**values))
    except OperationalError as error:
        if not is_too_slow(error):
            raise


# Mode of a database file, and so of SQLite's log beside it, whatever the umask.
NEW_FILE_MODE = stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP


def create_file(file: Path) -> None:
    """Create an empty file if there is none; remove others' rights from an existing one.

    Its group can write to it or has no right at all: with read access alone a log (WAL) cannot be
    read.
    """
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, stat.S_IRUSR)
    except FileExistsError:
        for each in (file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))):
            # It is missing, or another user's, who will set the mode at their next upgrade.
            with suppress(FileNotFoundError, PermissionError):
                _narrow(each)
    else:
        os.fchmod(descriptor, NEW_FILE_MODE)
        os.close(descriptor)


def _narrow(file: Path) -> None:
    before = stat.S_IMODE(file.stat().st_mode)
    after = NEW_FILE_MODE if before & stat.S_IRGRP else NEW_FILE_MODE & ~stat.S_IRWXG
    if before != after:
        file.chmod(after)


# How long an upgrade, a move or `belong purge` waits for another on SQLite.
LONG_WAIT_SECONDS = 600


def begin_sqlite(connection: Any, timeout: float) -> None:
    """Begin a transaction: read-only if `is_reading`, otherwise with the write lock."""
    options = connection.get_execution_options()
    is_reading = options.get("is_reading", False)
    if connection.info.get("is_reading", False) != is_reading:
        # only then, because SQLite prepares every statement of a connection anew after it
        connection.exec_driver_sql(f"PRAGMA query_only={'ON' if is_reading else 'OFF'}")
        connection.info["is_reading"] = is_reading
    if is_reading:
        connection.exec_driver_sql("BEGIN")
    else:
        has_time = options.get("has_time", False)
        _begin_immediate(connection, LONG_WAIT_SECONDS if has_time else timeout)


def _begin_immediate(connection: Any, timeout: float) -> None:
    """Wait for the write lock; SQLAlchemy raises errors as its own."""
    driver = connection.connection.driver_connection
    with suppress(sqlite3.OperationalError):
        if drivers.lock_sqlite(driver, timeout):
            return
    driver.execute("PRAGMA busy_timeout=0")  # the time is over
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        driver.execute(f"PRAGMA busy_timeout={timeout * 1000:.0f}")


@cache
def dialect_insert(dialect: str) -> Any:
    """Return the dialect's `insert` without loading the other's, which takes 3 MB."""
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite  # noqa: PLC0415

        return sqlite.insert
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415

    return postgresql.insert


BEFORE_1_0: Final = (
    "This database was made before version 1.0, and cannot be brought up to date. Start anew: in"
    " development delete the folder `var`; elsewhere name an empty database and an empty state"
    " folder (BELONG_DATABASE_URL, BELONG_STATE_FOLDER)."
)


def error_name(error: Exception) -> str:
    """Describe an error by type, and its cause as the database calls it; no values, no paths."""
    kind, cause = type(error).__name__, getattr(error, "orig", None)
    code = getattr(cause, "sqlite_errorname", None) or (type(cause).__name__ if cause else None)
    code = code or (error.strerror if isinstance(error, OSError) else None)
    return kind if code in {None, kind} else f"{kind}: {code}"


def is_too_slow(error: Exception) -> bool:
    """Return whether PostgreSQL ended a statement that ran, or waited for a lock, too long."""
    return type(getattr(error, "orig", None)).__name__ == "QueryCanceled" or is_locked(error)


def has_idled(error: Exception) -> bool:
    """Return whether PostgreSQL closed a connection that was silent within a transaction."""
    return type(getattr(error, "orig", None)).__name__ == "IdleInTransactionSessionTimeout"


def is_locked(error: BaseException | None) -> bool:
    """Return whether PostgreSQL ended a statement that waited for a lock (soon free, maybe)."""
    cause = type(getattr(error, "orig", None)).__name__
    return cause in {"LockNotAvailable", "DeadlockDetected"}


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
    cause = getattr(error, "orig", None)
    return getattr(cause, "sqlite_errorname", "") == "SQLITE_FULL" or (
        type(cause).__name__ == "DiskFull"
    )


class SchemaOutdated(Exception):
    """The database has not been brought up to date."""


class SchemaInconsistent(Exception):
    """Says why the schema cannot be upgraded from here; nothing was changed."""


def has_tables(url: str) -> bool:
    """Return whether a database has tables; False for one that cannot be reached."""
    engine = make_engine(url)
    try:
        return bool(inspect(engine).get_table_names())
    except DBAPIError:
        return False
    finally:
        engine.dispose()


def schema_step(connection: Connection) -> str | None:
    """Return the last schema step that was taken, or None before the first.

    Raises SchemaInconsistent for one from before 1.0, which had four digits.
    """
    if not inspect(connection).has_table("alembic_version"):
        return None
    step: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if step is not None and "." not in step:
        raise SchemaInconsistent(BEFORE_1_0)
    return step


def require_current_schema(engine: Engine) -> None:
    """Raise SchemaOutdated or SchemaInconsistent unless the last step has been taken."""
    with engine.connect() as connection:
        if schema_step(connection) != NEWEST_REVISION:
            raise SchemaOutdated
