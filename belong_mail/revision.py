"""Whether the database has been brought up to date; told without Alembic, which takes 10 MB."""

from pathlib import Path
from typing import Final

from sqlalchemy import Engine, inspect, text

NEWEST: Final = max(
    file.name[:4] for file in (Path(__file__).parent / "migrations/versions").glob("[0-9]*.py")
)
"""The last step: steps are named by their number."""


class SchemaIsOld(Exception):
    """The database has not been brought up to date."""


def refuse_old(engine: Engine) -> None:
    """Raise SchemaIsOld unless the last step has been taken."""
    with engine.connect() as connection:
        is_there = inspect(connection).has_table("alembic_version")
        newest = text("SELECT version_num FROM alembic_version")
        if not is_there or connection.scalar(newest) != NEWEST:
            raise SchemaIsOld
