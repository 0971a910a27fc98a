"""A copy is settled where it stands: with room beside it, and without an index of empty values.

PostgreSQL writes a row anew when it is changed; in the same page no index hears of it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
loses = ""

WHERE = sa.text("about_id IS NOT NULL")
NAME = "ix_deliveries_about_id"


def upgrade() -> None:
    op.drop_index(NAME, "deliveries")
    op.create_index(NAME, "deliveries", ["about_id"], sqlite_where=WHERE, postgresql_where=WHERE)
    _fill("SET (fillfactor = 50)")


def downgrade() -> None:
    _fill("RESET (fillfactor)")
    op.drop_index(NAME, "deliveries")
    op.create_index(NAME, "deliveries", ["about_id"])


def _fill(how: str) -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE deliveries {how}")
