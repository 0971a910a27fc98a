"""The database's schema: Alembic, with our engine and one transaction for each step."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine

from belong_mail.accounts import models as accounts
from belong_mail.contact import models as contact
from belong_mail.db import Base, create
from belong_mail.hold import models as hold
from belong_mail.interests import models as interests
from belong_mail.limits import Limit
from belong_mail.meetings import models as meetings
from belong_mail.memberships import models as memberships
from belong_mail.newsletters import models as newsletters
from belong_mail.outbox import models as outbox
from belong_mail.sending import models as sending
from belong_mail.subscriptions import models as subscriptions

MODELS = (
    accounts, contact, hold, interests, meetings, memberships, newsletters, outbox, sending,
    subscriptions, Limit,
)  # fmt: skip
"""Named so that every table stands in the metadata; groups come with them."""


class SchemaUnfit(Exception):
    """After the steps, rows would refer to others that are not there."""


def upgrade(engine: Engine, revision: str = "head") -> None:
    create(engine)
    with _steps(engine) as config:
        command.upgrade(config, revision)


def downgrade(engine: Engine, revision: str) -> None:
    with _steps(engine) as config:
        command.downgrade(config, revision)


def differences(engine: Engine) -> list[str]:
    """Say where the database differs from the models; nothing when it is up to date."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        return [str(each) for each in compare_metadata(context, Base.metadata)]


@contextmanager
def _steps(engine: Engine) -> Iterator[Config]:
    """One transaction for steps; SQLite makes tables anew, and what refers to them must stay."""
    with engine.connect() as connection:
        driver = connection.connection.dbapi_connection
        is_sqlite = engine.dialect.name == "sqlite"
        if is_sqlite:
            driver.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        try:
            with connection.begin():
                yield _config(connection)
                if is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise SchemaUnfit
        finally:
            if is_sqlite:
                driver.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]


def _config(connection: object) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes |= {"connection": connection, "metadata": Base.metadata}
    return config
