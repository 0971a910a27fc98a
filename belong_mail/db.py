"""Engine, Base, constraint names, UTC times, public ids."""

import secrets
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Engine,
    LargeBinary,
    MetaData,
    Select,
    String,
    bindparam,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from belong_mail import sqlite

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
NO_DATABASE = (InterfaceError, InternalError, OperationalError)
"""What comes of a database that is locked, full, read-only, down or cut off: it may come back."""


class UtcTime(TypeDecorator[datetime]):
    """A moment: aware in Python, UTC in the database, on both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("A time without a zone is not a moment.")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC)


class Ids(TypeDecorator[list[int]]):
    """A list of rows' ids as one value: JSON for SQLite, an array's text for PostgreSQL."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: list[int] | None, dialect: Dialect) -> str:
        begin, end = "[]" if dialect.name == "sqlite" else "{}"
        return f"{begin}{','.join(map(str, value or ()))}{end}"


class _Among(FunctionElement[bool]):
    """Tells whether a column's value is one of a list."""

    inherit_cache = True


@compiles(_Among, "sqlite")
def _among_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, ids = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({ids}))"  # noqa: S608 - names and a bound value


@compiles(_Among, "postgresql")
def _among_postgresql(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, ids = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} = ANY(CAST({ids} AS BIGINT[]))"


def among(column: Any, name: str) -> ColumnElement[bool]:
    """Return whether a column is one of the ids bound under a name: one SQL for any number."""
    return _Among(column, bindparam(name, type_=Ids()))


class Direct:
    """A statement that runs often: compiled once, then handed to the driver as it is.

    Rows are tuples of what the driver has; errors are SQLAlchemy's, as of any other statement.
    """

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._made: dict[str, tuple[Any, ...]] = {}

    def run(self, connection: Connection, values: dict[str, Any]) -> tuple[list[Any], Any]:
        """Return the rows, and the driver's cursor, which counts what was changed."""
        dialect: Any = connection.dialect
        if dialect.name not in self._made:
            self._made[dialect.name] = self._make(dialect)
        sql, given, processors, order, options = self._made[dialect.name]
        given = given | values
        for name, process in processors:
            given[name] = process(given[name])
        parameters = given if order is None else [given[name] for name in order]
        driver: Any = connection.connection.driver_connection
        error_of = dialect.loaded_dbapi.Error
        try:
            cursor = driver.execute(sql, parameters, **options)
            return cursor.fetchall() if cursor.description else [], cursor
        except error_of as error:
            if is_cut := dialect.is_disconnect(error, driver, None):
                connection.invalidate(error)
            told = {"hide_parameters": True, "connection_invalidated": is_cut, "dialect": dialect}
            raise DBAPIError.instance(sql, None, error, error_of, **told) from error

    def _make(self, dialect: Any) -> tuple[Any, ...]:
        made = self._statement.compile(dialect=dialect)
        processors = [
            (name, process)
            for bind, name in made.bind_names.items()
            if (process := bind.type.dialect_impl(dialect).bind_processor(dialect))
        ]
        options = {} if dialect.positional else {"binary": True}
        return str(made), made.params, processors, made.positiontup, options


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {datetime: UtcTime, bytes: LargeBinary}  # noqa: RUF012 - SQLAlchemy's


def now() -> datetime:
    return datetime.now(UTC)


def new_public_id() -> str:
    """Make an opaque name of 128 random bits, 22 characters that fit a URL and a command."""
    name = secrets.token_urlsafe(16)
    return new_public_id() if name.startswith("-") else name


def make_engine(url: str, compiled: int = 500) -> Engine:
    """Connect to SQLite or PostgreSQL; so many statements stay compiled.

    Transactions of `engine.execution_options(is_reading=True)` cannot write, on either database;
    on SQLite the others take the write lock when they begin, so that none reads what another is
    about to change.
    """
    hidden = partial(create_engine, url, hide_parameters=True, query_cache_size=compiled)
    if not url.startswith("sqlite"):
        engine = hidden(pool_pre_ping=True)
        event.listen(engine, "begin", _begin_postgresql)
        return engine
    engine = hidden(creator=partial(sqlite.connect, make_url(url)))
    event.listen(engine, "begin", sqlite.begin)
    return engine


def create(engine: Engine) -> None:
    """Make the empty file of a SQLite database that is not there yet; nothing else makes one.

    So a file that is lost, or a disk that is not mounted, is an error and no empty database.
    """
    if engine.dialect.name == "sqlite":
        try:
            Path(engine.url.database or "").touch(mode=0o644)
        except OSError as error:
            raise OperationalError(None, None, error) from error


def to_change(session: Session, found: Select[Any]) -> Select[Any]:
    """Lock what is found until the transaction ends, if that may write.

    Whoever changes it at the same time waits, and then reads it as it is. Rows that only
    refer to it may come all the same (FOR NO KEY UPDATE).
    """
    if session.get_bind().get_execution_options().get("is_reading", False):
        return found
    first = found.column_descriptions[0]["entity"]
    return found.with_for_update(of=first, key_share=True)


def _begin_postgresql(connection: Any) -> None:
    if connection.get_execution_options().get("is_reading", False):
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
