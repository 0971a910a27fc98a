"""Open the database; base classes, column types, locks and the schema's version."""

import json
import logging
import secrets
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    Date,
    DateTime,
    Dialect,
    Engine,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    SQLColumnExpression,
    String,
    Time,
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
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from belong_mail.core import drivers, logs
from belong_mail.core.database_errors import is_too_slow
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


# Statements that take this many seconds are logged, up to so many characters.
SLOW_QUERY_SECONDS = 1.0
SLOW_QUERY_CHARACTERS = 300
# Characters of a public id.
PUBLIC_ID_LENGTH = 22
# Most difference between the clocks of two hosts; and of web and worker where data would be lost.
SKEW, CLOCKS_DIFFER = timedelta(minutes=2), timedelta(days=1)
log = logging.getLogger(__name__)
INSERT_NOTHING = "INSERT INTO jobs (kind) SELECT kind FROM jobs WHERE 1 = 0"


class UtcTime(TypeDecorator[datetime]):
    """A time with its zone in Python, stored in UTC by both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("A time without a zone is not a moment.")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC)


def parse_json(source: str | bytes) -> Any:
    """Parse a JSON column; return None for invalid JSON, which only an intruder would write."""
    try:
        return json.loads(source)
    except (ValueError, RecursionError):
        return None


class Checked(TypeDecorator[Any]):
    """A value that an intruder in the web could have written: `check` drops what does not belong.

    It is JSON, or of the type `impl`.
    """

    impl: Any = JSON
    cache_ok = True

    def __init__(self, check: Callable[[Any], Any], impl: type[TypeEngine[Any]] = JSON) -> None:
        super().__init__()
        self.check, self.impl = check, impl()

    def process_result_value(self, value: Any, _dialect: Dialect) -> Any:
        return self.check(value)


def whole(text: str) -> str:
    """Replace lone surrogates, which JSON can escape and no message can contain."""
    return text.encode(errors="replace").decode()


def text_list(value: Any) -> list[str]:
    found = value if isinstance(value, list) else ()
    return [whole(each) for each in found if isinstance(each, str)]


def texts_by_language(value: Any) -> dict[str, str]:
    """Return the texts of a dict by known language codes."""
    found = value.items() if isinstance(value, dict) else ()
    return {
        code: whole(words) for code, words in found if code in LANGUAGES and isinstance(words, str)
    }


TextList, TextByLanguage = Checked(text_list), Checked(texts_by_language)
Language = Checked(known_language, String)


Found = TypeVar("Found")


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {datetime: UtcTime, bytes: LargeBinary}  # noqa: RUF012 - SQLAlchemy's


# Eight bytes, as SQLite's INTEGER has: four could be used up on purpose by inserting.
BigId = BigInteger().with_variant(Integer, "sqlite")


class IdBase(Base):
    """Base of tables with an integer primary key, whose type foreign keys take over."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(BigId, primary_key=True, sort_order=-2)


def now() -> datetime:
    return datetime.now(UTC)


def ago(age: timedelta) -> BindParameter[datetime]:
    """Return a parameter for statements that are built once: the time `age` before each run.

    Not for a CompiledStatement, which would keep the time of its first run.
    """
    return bindparam(None, type_=UtcTime(), callable_=lambda: now() - age)


NOW = ago(timedelta())


def is_older(column: SQLColumnExpression[Any], age: timedelta) -> ColumnElement[bool]:
    """Match times before `ago(age)`, and those that no clock explains: an intruder’s."""
    return ~column.between(ago(age), ago(-CLOCKS_DIFFER))


def days_ago(age: timedelta) -> BindParameter[date]:
    """Return a parameter like that of `ago`: the date (UTC) `age` before each run."""
    return bindparam(None, type_=Date(), callable_=lambda: now().date() - age)


def ahead(span: timedelta) -> BindParameter[float]:
    """Return a parameter like that of `ago`: `span` after each run, in seconds since 1970."""
    seconds = span.total_seconds()
    return bindparam(None, type_=Float(), callable_=lambda: now().timestamp() + seconds)


def new_public_id() -> str:
    """Return a random id of 128 bits that fits a URL and a command line."""
    name = secrets.token_urlsafe(16)
    return new_public_id() if name.startswith("-") else name


def required(found: Found | None, missing: type[Exception]) -> Found:
    """Return `found`, or raise the given error if it is None."""
    if found is None:
        raise missing
    return found


class PublicIdBase(IdBase):
    """Base of tables with an integer key and an opaque public id, for links and associated data."""

    __abstract__ = True

    public_id: Mapped[str] = mapped_column(default=new_public_id, unique=True, sort_order=-1)


def make_engine(url: str) -> Engine:
    """Return the engine of an SQLite or PostgreSQL database.

    With `execution_options(is_reading=True)` its transactions cannot write. All others take
    SQLite's write lock when they begin, so that nothing they read changes before they write. With
    `execution_options(has_time=True)` they wait for that lock, and run statements, for longer than
    a page may.
    """
    hidden = partial(create_engine, url, hide_parameters=True, json_deserializer=parse_json)
    if not url.startswith("sqlite"):
        from belong_mail.core import postgresql  # noqa: PLC0415 - some megabytes, for some alone

        engine = hidden(pool_pre_ping=True, use_native_hstore=False)
        postgresql.configure_engine(engine)
        _log_slow_queries(engine)
        return engine
    file, timeout = drivers.parse_sqlite_url(url)
    engine = hidden(creator=partial(drivers.connect_sqlite, file, timeout))
    engine.dialect.colspecs = {**engine.dialect.colspecs, **_bounded_types()}
    event.listen(engine, "begin", lambda connection: drivers.begin_sqlite(connection, timeout))
    _log_slow_queries(engine)
    return engine


def _bounded_types() -> dict[Any, Any]:
    """Return SQLite's types of times, whose values load within two bounds."""
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415 - 3 MB, for SQLite alone

    def bounded(own: Any, least: Any, most: Any) -> Any:
        class Bounded(own):  # type: ignore[misc]
            def result_processor(self, *given: Any) -> Any:
                load = super().result_processor(*given)

                def process(value: Any) -> Any:
                    try:
                        loaded = load(value)
                        return None if loaded is None else min(max(loaded, least), most)
                    except (TypeError, ValueError):
                        return least

                return process

        return Bounded

    least, most = (each.replace(tzinfo=None) for each in (drivers.EARLIEST, drivers.LATEST))
    return {
        DateTime: bounded(sqlite.DATETIME, least, most),
        Date: bounded(sqlite.DATE, least.date(), most.date()),
        Time: bounded(sqlite.TIME, clock.min, clock.max),
    }


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
    """Create the file of an SQLite database if it is missing. Nothing else creates one.

    So a lost file or an unmounted disk is an error, not an empty database. The file's group, to
    which web and worker belong, may write; others may not even read.
    """
    if engine.dialect.name == "sqlite":
        try:
            drivers.create_file(Path(engine.url.database or ""))
        except OSError as error:
            raise OperationalError(None, None, error) from error


def count_rows(engine: Engine) -> int:
    with engine.execution_options(is_reading=True).connect() as connection:
        counts = (select(func.count()).select_from(table) for table in Base.metadata.sorted_tables)
        return sum(connection.scalar(each) or 0 for each in counts)


def require_writable(engine: Engine) -> None:
    """Raise unless the database is writable, without writing.

    SQLite opens a read-only file, and begins a transaction, without an error.
    """
    with engine.connect() as connection:
        connection.exec_driver_sql(INSERT_NOTHING)


def lock_for_change(session: Session, found: Select[Any]) -> Select[Any]:
    """Lock the selected rows until the transaction ends, unless it is read-only.

    Other transactions that change them wait, and then read the new values. Rows that refer to them
    can still be inserted (FOR NO KEY UPDATE).
    """
    if session.get_bind().get_execution_options().get("is_reading", False):
        return found
    first = found.column_descriptions[0]["entity"]
    return found.with_for_update(of=first, key_share=True)


def update_if_free(
    session: Session, table: type[Base], *which: ColumnElement[bool], **values: Any
) -> None:
    """Update matching rows that no one has locked, so that email never waits for the web."""
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


@cache
def dialect_insert(dialect: str) -> Any:
    """Return a dialect's `insert`, importing only that dialect: each takes 3 MB."""
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite  # noqa: PLC0415

        return sqlite.insert
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415

    return postgresql.insert


class SchemaOutdated(Exception):
    """The database needs `belong upgrade`."""


class SchemaInconsistent(Exception):
    """The schema cannot be upgraded; the error says why."""


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
    """Return the schema's last migration, or None if there is none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    step: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return step


def require_current_schema(engine: Engine) -> None:
    """Raise SchemaOutdated unless the schema is the newest."""
    with engine.connect() as connection:
        if schema_step(connection) != NEWEST_REVISION:
            raise SchemaOutdated
