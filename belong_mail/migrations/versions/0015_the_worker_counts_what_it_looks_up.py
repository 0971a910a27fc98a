"""The worker counts the requests that look addresses up where the web's role does not reach."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
loses = "How many lookups were counted today."


def upgrade() -> None:
    op.create_table(
        "worker_limits",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("used_until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_worker_limits"),
    )


def downgrade() -> None:
    op.drop_table("worker_limits")
