"""The database's schema: Alembic, with our engine and one transaction for each step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from belong_mail.core.db import Base, SchemaInconsistent, create
from belong_mail.ops import figures, grants, hold, rooms

# Named so that every table stands in the metadata: with a room's declarations come its models.
MODELS = (rooms, hold, figures)
# From this step on the worker believes rights and addresses only in the form that proves them.
PROVEN = "0014"
# The same of rights to work for the office.
OFFICE_PROVEN = "0029"
# Puts what an older version wrote into that form, by the step of that version; whoever calls it
# holds the worker's keys.
Adopt = Callable[[Session, str], object]
# Looks at the database before steps are undone, and raises what stands in their way.
Require = Callable[[Connection], object]
FOLDER = Path(__file__).parents[1] / "migrations"
# Whoever upgrades a PostgreSQL database holds this advisory lock, so that others wait.
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


def upgrade(engine: Engine, revision: str = "head", adopt: Adopt | None = None) -> None:
    """Take the steps that are missing; of several who do so at once, the others wait.

    What an older version wrote is adopted once, in the steps' transaction, and never again: whoever
    breaks into the web later could have written the rows. Raises SchemaInconsistent if steps cannot
    be taken; nothing is changed then.
    """
    create(engine)
    with _steps(engine) as config:
        connection = config.attributes["connection"]
        before = MigrationContext.configure(connection).get_current_revision()
        _take_step(config, revision)
        if adopt is not None and before is not None and before < OFFICE_PROVEN:
            with Session(connection, join_transaction_mode="rollback_only") as session:
                adopt(session, before)
                session.flush()


def _take_step(config: Config, revision: str) -> None:
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise SchemaInconsistent(UNKNOWN) from error
    except (OperationalError, ProgrammingError) as error:
        is_other = any(words in str(error.orig) for words in DIFFERS)
        if is_other or isinstance(error, ProgrammingError):
            raise SchemaInconsistent(OTHERWISE) from error
        raise


def lock(connection: Connection) -> None:
    """Let others who upgrade wait until this transaction ends; on SQLite they do anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def downgrade(engine: Engine, revision: str, require_clear: Require | None = None) -> None:
    """Undo steps down to one; what is required of the database is looked at before, under the lock.

    What it raises, no step was undone.
    """
    with _steps(engine) as config:
        connection = config.attributes["connection"]
        if require_clear is not None:
            require_clear(connection)
        grants.drop_policies(connection)
        command.downgrade(config, revision)


def steps() -> list[Script]:
    """List all steps that this version knows, the newest first."""
    return list(ScriptDirectory(str(FOLDER)).walk_revisions())


def differences(engine: Engine) -> list[str]:
    """Say where the database differs from the models; nothing when it is up to date."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        return [str(each) for each in compare_metadata(context, Base.metadata)]


@contextmanager
def _steps(engine: Engine) -> Iterator[Config]:
    """One transaction for steps; SQLite makes tables anew, and what refers to them must stay."""
    with engine.execution_options(has_time=True).connect() as connection:
        driver = connection.connection.dbapi_connection
        is_sqlite = engine.dialect.name == "sqlite"
        if is_sqlite:
            driver.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        try:
            with connection.begin():
                lock(connection)
                yield _config(connection)
                if is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise SchemaInconsistent(OTHERWISE)
        finally:
            if is_sqlite:
                driver.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]


def _config(connection: object) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes |= {"connection": connection, "metadata": Base.metadata}
    return config
