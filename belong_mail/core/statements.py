"""Compile frequent statements once, send several in one round trip, and bind lists of ids."""

from contextlib import nullcontext
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Integer,
    Select,
    String,
    bindparam,
    literal_column,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator


class IdList(TypeDecorator[list[int]]):
    """A list of row ids as one value: JSON for SQLite, an array's text for PostgreSQL."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: list[int] | None, dialect: Dialect) -> str:
        begin, end = "[]" if dialect.name == "sqlite" else "{}"
        return f"{begin}{','.join(map(str, value or ()))}{end}"


class _InList(FunctionElement[bool]):
    """Matches a column against a bound list of ids."""

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
    """Match a column against a bound list of ids: the SQL is the same for any number."""
    return _InList(column, bindparam(name, type_=IdList()))


class CompiledStatement:
    """A frequent statement: compiled once, then given to the driver directly.

    Rows are the driver's tuples; errors are SQLAlchemy's.
    """

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._made: dict[str, tuple[Any, ...]] = {}

    def run(self, connection: Connection, values: dict[str, Any]) -> tuple[list[Any], Any]:
        """Return the rows and the driver's cursor, for its row count."""
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


def any_of(*queries: Select[Any]) -> CompiledStatement:
    """Build a statement that tells for each query whether it finds a row.

    Each query reads its first row by an index: for `EXISTS`, PostgreSQL's generic plan assumes a
    third of all rows to match, even finished ones, and scans the whole table.
    """
    firsts = (each.limit(literal_column("1", Integer)).scalar_subquery() for each in queries)
    return CompiledStatement(select(*(each.is_not(None) for each in firsts)))


Call = tuple[CompiledStatement, dict[str, Any]]


def run_together(
    connection: Connection, *calls: Call, is_last: bool = False
) -> list[tuple[list[Any], Any]]:
    """Run independent statements; PostgreSQL gets them in one pipeline.

    BEGIN is sent with a transaction's first statements and COMMIT with the last ones, so that a
    distant database costs one round trip.
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
