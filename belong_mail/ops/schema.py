"""Migrate the schema by Alembic, with our engine, in one transaction for each upgrade."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from belong_mail.core.db import Base, SchemaInconsistent, create, schema_step
from belong_mail.ops import figures, hold, rooms
from belong_mail.ops.triggers import create_triggers

# Imported so that the metadata has every table.
MODELS = (rooms, hold, figures)
FOLDER = Path(__file__).parents[1] / "migrations"
# The advisory lock of an upgrade in PostgreSQL, for which others wait.
LOCK = 0x62656C6F6E67
UNKNOWN = (
    "The database is at a step that this version does not know: it was made by a newer version, or"
    " by one between two. Nothing was changed. Install the version that made it, or restore a copy."
)
OTHERWISE = (
    "The database is not what its step says: it was made by a version between two, or changed by"
    " hand. Nothing was changed. Restore a copy, or ask the people who maintain the program."
)
DIFFERS = ("duplicate column", "already exists", "no such")


# Checks a database, which may be empty, before an upgrade; raises to refuse it.
Check = Callable[[Connection], None]


def upgrade(engine: Engine, check: Check | None = None) -> None:
    """Create the tables of a new database, or apply missing migrations; others wait meanwhile.

    `check` may raise to refuse the database. Raises SchemaInconsistent if a migration fails; then
    nothing is changed.
    """
    create(engine)
    with _steps(engine) as config:
        connection = config.attributes["connection"]
        steps = ScriptDirectory.from_config(config)
        current = schema_step(connection)
        if check is not None:
            check(connection)
        try:
            if current is None:
                _create_tables(connection)
                MigrationContext.configure(connection).stamp(steps, "head")
            else:
                command.upgrade(config, "head")
        except CommandError as error:
            raise SchemaInconsistent(UNKNOWN) from error
        except (OperationalError, ProgrammingError) as error:
            is_other = any(words in str(error.orig) for words in DIFFERS)
            if is_other or isinstance(error, ProgrammingError):
                raise SchemaInconsistent(OTHERWISE) from error
            raise


def _create_tables(connection: Connection) -> None:
    """Create every table, index and trigger of the models."""
    if connection.dialect.name == "postgresql":
        for index in (each for table in Base.metadata.tables.values() for each in table.indexes):
            rows = index.dialect_options["sqlite"]["where"]
            if rows is not None:  # PostgreSQL does not compare a boolean with 1
                index.dialect_options["postgresql"]["where"] = text(str(rows).removesuffix(" = 1"))
        # An update writes a new version of the row; if that fits beside the old, no index changes.
        deliveries = Base.metadata.tables["deliveries"]
        deliveries.dialect_options["postgresql"]["with"] = {"fillfactor": 50}
    Base.metadata.create_all(connection, checkfirst=False)
    create_triggers(connection)


def lock(connection: Connection) -> None:
    """Make other upgrades wait until this transaction ends; SQLite does so without it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def analyze(engine: Engine) -> None:
    """Update PostgreSQL's statistics after many rows were inserted."""
    if engine.dialect.name == "postgresql":
        with engine.execution_options(has_time=True).begin() as connection:
            connection.execute(text("ANALYZE"))


def differences(engine: Engine) -> list[str]:
    """List the differences between database and models."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        return [str(each) for each in compare_metadata(context, Base.metadata)]


@contextmanager
def _steps(engine: Engine) -> Iterator[Config]:
    """Open a transaction for migrations, where SQLite can rebuild tables that others refer to."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    with engine.execution_options(has_time=True).connect() as connection:
        driver = connection.connection.dbapi_connection
        is_sqlite = engine.dialect.name == "sqlite"
        if is_sqlite:
            driver.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        try:
            with connection.begin():
                lock(connection)
                config.attributes |= {"connection": connection, "metadata": Base.metadata}
                yield config
                if is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise SchemaInconsistent(OTHERWISE)
        finally:
            if is_sqlite:
                driver.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]
