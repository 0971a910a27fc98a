"""Workers hold leases, and what is due is found without walking over what is done."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
loses = ""

INDEXES = (
    ("ix_deliveries_due", "deliveries", ["newsletter_id", "due_at", "id"], "due_at IS NOT NULL"),
    (
        "ix_deliveries_due_again",
        "deliveries",
        ["due_at", "id"],
        "newsletter_id IS NOT NULL AND due_at IS NOT NULL",
    ),
    ("ix_chunks_waiting", "chunks", ["id"], "inserted IS NULL"),
)


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_leases")),
    )
    _hand_over()
    with op.batch_alter_table("deliveries") as batch:
        batch.drop_index("ix_deliveries_due")
        batch.drop_column("lease_until")
    for name, table, columns, which in INDEXES:
        where = sa.text(which)
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name, table, _, _ in INDEXES:
        op.drop_index(name, table)
    with op.batch_alter_table("deliveries") as batch:
        batch.add_column(sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True))
        batch.create_index("ix_deliveries_due", ["state", "due_at"])
    op.drop_table("leases")


def _hand_over() -> None:
    """Give back what had not left; of the rest the workers' leases are over, so it is uncertain."""
    op.execute(
        "UPDATE deliveries SET state = CASE WHEN lost_at IS NOT NULL THEN 'uncertain'"
        " WHEN attempts > 0 THEN 'deferred' ELSE 'queued' END, claimed_by = NULL"
        " WHERE state = 'sending' AND NOT is_dot_sent"
    )
    ending = sa.text(
        "INSERT INTO leases (owner, until) SELECT DISTINCT claimed_by, :until FROM deliveries"
        " WHERE state = 'sending' AND claimed_by IS NOT NULL"
    )
    op.execute(
        ending.bindparams(sa.bindparam("until", datetime.now(UTC), sa.DateTime(timezone=True)))
    )
