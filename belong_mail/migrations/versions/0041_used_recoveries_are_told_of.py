"""A recovery that was used stays until the worker has told those concerned."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
loses = "Recoveries that were used and that no one was told of yet."


def upgrade() -> None:
    op.add_column("recoveries", sa.Column("used_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Forget those that were used: nobody is told of them any more."""
    op.execute("DELETE FROM recoveries WHERE used_at IS NOT NULL")
    with op.batch_alter_table("recoveries") as table:
        table.drop_column("used_at")
