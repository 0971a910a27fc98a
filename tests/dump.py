"""A database's logical content, to compare a before with an after."""

from sqlalchemy import Engine, select

from belong_mail.db import Base, make_engine
from belong_mail.parts import Parts

Dump = dict[str, list[tuple[object, ...]]]


def dump(engine: Engine) -> Dump:
    """Read every row of every table."""
    with engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in Base.metadata.sorted_tables
        }


def dump_of(parts: Parts) -> Dump:
    """Read an app's database, through a connection of our own."""
    engine = make_engine(parts.settings.database_url).execution_options(is_reading=True)
    try:
        return dump(engine)
    finally:
        engine.dispose()
