"""Copy a database to another, from SQLite to PostgreSQL or back, and compare every row."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import zip_longest
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    Engine,
    Select,
    String,
    Table,
    collate,
    delete,
    func,
    insert,
    select,
    text,
    type_coerce,
)
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from belong_mail.core.db import Base
from belong_mail.delivery.models import Delivery, IssueCount
from belong_mail.ops import hold, schema

BATCH_ROWS = 1000
# Rows in a batch of tables whose rows may have megabytes.
HEAVY_TABLES, HEAVY_ROWS = ("flyers", "rendered_issues", "images"), 20
# Called with the number of rows copied since the last call.
Progress = Callable[[int], object]
# Called at the end, in the transaction that has locked the source.
Leave = Callable[[Session], object]


class InvalidMove(Exception):
    """Nothing was moved, or something differs; the source was not changed. The error says what."""


def move(source: Engine, target: Engine, progress: Progress, leave: Leave) -> int:
    """Copy all rows into an empty database and compare them; return their number.

    The source is locked against writes meanwhile; `leave` then marks it in the same transaction.
    Raises InvalidMove.
    """
    if differences := schema.differences(source):
        raise InvalidMove(f"Differences found: {len(differences)}. Run `db upgrade` first.")
    schema.upgrade(target)
    if _identity(source) == _identity(target):
        raise InvalidMove("This is the database in use. Name another one.")
    with _unchanging(source) as reader:
        with target.connect() as connection:
            for table in Base.metadata.sorted_tables:
                if connection.execute(select(*table.primary_key).limit(1)).first() is not None:
                    raise InvalidMove(_difference(table))
        for table in Base.metadata.sorted_tables:
            _copy(reader, target, table, progress)
        _set_sequences(reader, target)
        number = sum(_compare(reader, target, table) for table in Base.metadata.sorted_tables)
        schema.analyze(target)
        with Session(reader, join_transaction_mode="rollback_only") as session:
            leave(session)
            session.flush()
    return number


def _identity(engine: Engine) -> str:
    with Session(engine) as session:
        return hold.cluster(session)[0]


@contextmanager
def _unchanging(source: Engine) -> Iterator[Connection]:
    """Connect to a database, and lock it against writes until the end."""
    options: dict[str, Any] = {"has_time": True}
    if source.dialect.name != "sqlite":
        options["isolation_level"] = "REPEATABLE READ"
    with source.execution_options(**options).connect() as connection, connection.begin():
        if source.dialect.name != "sqlite":
            names = ", ".join(table.name for table in Base.metadata.sorted_tables)
            connection.execute(text(f"LOCK TABLE {names} IN SHARE MODE"))
        yield connection


def _difference(table: Table) -> str:
    return (
        f"The table {table.name} differs there. The other database is in use, or a move into it was"
        " cut off. If nothing uses it, drop it, or delete its file, and start again."
    )


def _copy(reader: Connection, target: Engine, table: Table, progress: Progress) -> None:
    """Copy the rows of a table, one transaction for each batch."""
    with closing(_rows(reader, table)) as found:
        for rows in found.mappings().partitions(_batch(table)):
            _add(target, table, rows)
            progress(len(rows))


def _add(target: Engine, table: Table, rows: Sequence[Any]) -> None:
    try:
        with target.execution_options(has_time=True).begin() as connection:
            connection.execute(insert(table), [dict(row) for row in rows])
            if table is Delivery.__table__:
                # The target's triggers have counted the copied rows; the source's counts, which
                # come later, include deleted ones.
                connection.execute(delete(IssueCount))
    except (DataError, IntegrityError) as error:
        raise InvalidMove(
            f"Rows of the table {table.name} do not fit into the other database"
            f" ({type(error.orig).__name__})."
        ) from None


def _compare(reader: Connection, target: Engine, table: Table) -> int:
    """Compare the rows of both tables in order; return their number."""
    count = 0
    with (
        target.execution_options(has_time=True).connect() as connection,
        closing(_rows(reader, table)) as ours,
        closing(_rows(connection, table)) as theirs,
    ):
        for one, other in zip_longest(ours, theirs):
            if one is None or other is None or tuple(one) != tuple(other):
                raise InvalidMove(_difference(table))
            count += 1
    return count


def _rows(connection: Connection, table: Table) -> Any:
    """Read rows as stored, in the same order of keys on both databases: text by its bytes."""
    is_sqlite = connection.dialect.name == "sqlite"
    keys = (
        column if is_sqlite or not isinstance(column.type, String) else collate(column, "C")
        for column in table.primary_key
    )
    options = {"yield_per": _batch(table)}
    return connection.execute(stored(table).order_by(*keys), execution_options=options)


def _batch(table: Table) -> int:
    return HEAVY_ROWS if table.name in HEAVY_TABLES else BATCH_ROWS


def stored(table: Table) -> Select[Any]:
    """Select all columns, with JSON as it is stored; a model drops what it does not know."""
    kinds = [getattr(each.type, "impl", each.type) for each in table.columns]
    return select(
        *(
            type_coerce(column, JSON()) if isinstance(kind, JSON) else column
            for column, kind in zip(table.columns, kinds, strict=True)
        )
    )


def _set_sequences(reader: Connection, target: Engine) -> None:
    """Advance PostgreSQL's sequences to the source's; SQLite needs none."""
    if target.dialect.name == "sqlite":
        return
    numbered = [
        table for table in Base.metadata.sorted_tables if table.autoincrement_column is not None
    ]
    with target.begin() as connection:
        for table in numbered:
            sequence = func.pg_get_serial_sequence(table.name, "id")
            last = connection.scalar(select(func.max(table.autoincrement_column))) or 0
            if reader.dialect.name != "sqlite":
                last = max(last, reader.scalar(select(func.pg_sequence_last_value(sequence))) or 0)
            if last:
                connection.execute(select(func.setval(sequence, last)))
