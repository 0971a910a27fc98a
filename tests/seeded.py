"""The district's groups in a test's database: made once by the product, then written as rows."""

from datetime import datetime
from typing import Any

from sqlalchemy import Table, insert, select

from belong_mail.core.db import Base, new_public_id, now
from belong_mail.groups import service as groups

# Rows that `groups.seed` wrote first, table by table, in the order in which they refer to others.
_ROWS: list[tuple[Table, list[dict[str, Any]]]] = []


def seed_groups(session) -> None:
    """Write what `groups.seed` does, with times and public ids of this moment."""
    if not _ROWS:
        groups.seed(session)
        session.flush()
        connection = session.connection()
        for table in Base.metadata.sorted_tables:
            in_order = select(table).order_by(*table.primary_key)
            found = [dict(row) for row in connection.execute(in_order).mappings()]
            if found:
                _ROWS.append((table, found))
        return
    at = now()
    for table, rows in _ROWS:
        session.execute(insert(table), [_renewed(row, at) for row in rows])


def _renewed(row: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Leave the number to the database, which counts from 1 in an empty one."""
    new = {name: at if isinstance(value, datetime) else value for name, value in row.items()}
    del new["id"]
    return new | {"public_id": new_public_id()} if "public_id" in row else new
