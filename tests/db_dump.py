"""A database's logical content, to compare a before with an after."""

from sqlalchemy import select

from belong_mail.core.audit import AuditEntry, Kind
from belong_mail.core.db import Base, make_engine
from belong_mail.core.jobs import FLOOD

Dump = dict[str, list[tuple[object, ...]]]


def dump(engine) -> Dump:
    with engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in Base.metadata.sorted_tables
        }


def dump_of(services) -> Dump:
    """Read an app's database, through a connection of our own."""
    engine = make_engine(services.settings.database_url).execution_options(is_reading=True)
    try:
        return dump(engine)
    finally:
        engine.dispose()


def trail(services, *kinds: Kind) -> list[AuditEntry]:
    found = select(AuditEntry).order_by(AuditEntry.id)
    with services.reading.begin() as session:
        return list(session.scalars(found.where(AuditEntry.kind.in_(kinds)) if kinds else found))


def kept_of(services) -> Dump:
    """Read it without what a worker writes to show that it lives, and counts of all it reads."""
    dump = dump_of(services)
    counts = [row for row in dump.pop("worker_limits") if row[0] != FLOOD]
    return {table: rows for table, rows in dump.items() if table != "hosts"} | {
        "worker_limits": counts
    }
