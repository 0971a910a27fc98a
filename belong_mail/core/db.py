"""Open the database: engine, columns, bases of tables, locks, schema version."""

import json
import logging
import secrets
import time
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
    Integer,
    LargeBinary,
    MetaData,
    Select,
    String,
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
from sqlalchemy.types import TypeDecorator

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


# Seconds after which a statement is logged, and how much of it: the rest is a long list of columns.
SLOW_QUERY_SECONDS = 1.0
SLOW_QUERY_CHARACTERS = 300
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
    event.listen(engine, "begin", lambda connection: drivers.begin_sqlite(connection, timeout))
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
            drivers.create_file(Path(engine.url.database or ""))
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
