"""Engine, Base, constraint names, UTC times, public ids."""

import json
import secrets
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
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
    select,
)
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

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
    """A list of rows' ids as one value: JSON for SQLite, an array for PostgreSQL."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        is_array = dialect.name == "postgresql"
        return dialect.type_descriptor(ARRAY(BigInteger) if is_array else String())

    def process_bind_param(self, value: list[int] | None, dialect: Dialect) -> Any:
        return value if dialect.name == "postgresql" else json.dumps(value)


class _Each(FunctionElement[int]):
    """Turns one list into rows."""

    name = "each"
    inherit_cache = True


@compiles(_Each, "sqlite")
def _each_sqlite(element: _Each, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Each, "postgresql")
def _each_postgresql(element: _Each, compiler: SQLCompiler, **options: Any) -> str:
    return f"unnest({compiler.process(element.clauses, **options)})"


def among(name: str) -> Select[int]:
    """Return the right side of IN for ids bound under a name: the same SQL for any number."""
    rows = _Each(bindparam(name, type_=Ids())).table_valued("value", name="value")
    return select(rows.c.value)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {datetime: UtcTime, bytes: LargeBinary}  # noqa: RUF012 - SQLAlchemy's


def now() -> datetime:
    return datetime.now(UTC)


def new_public_id() -> str:
    """Make an opaque name of 128 random bits, 22 characters that fit a URL and a command."""
    name = secrets.token_urlsafe(16)
    return new_public_id() if name.startswith("-") else name


def make_engine(url: str) -> Engine:
    """Connect to SQLite or PostgreSQL.

    Transactions of `engine.execution_options(is_reading=True)` cannot write, on either database;
    on SQLite the others take the write lock when they begin, so that none reads what another is
    about to change.
    """
    if not url.startswith("sqlite"):
        engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)
        event.listen(engine, "begin", _begin_postgresql)
        return engine
    opened = partial(sqlite.connect, make_url(url))
    engine = create_engine(url, hide_parameters=True, creator=opened)
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


def _begin_postgresql(connection: Any) -> None:
    if connection.get_execution_options().get("is_reading", False):
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
