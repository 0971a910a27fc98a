"""Hosts are known: a database tells which state folders have worked on it, and how far.

An older database gets none; the first worker that comes is taken to be its own.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
loses = "Which hosts have worked on the database, and a hold of sending."


def upgrade() -> None:
    op.create_table(
        "hosts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("held_because", sa.String(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hosts")),
        sa.UniqueConstraint("folder", name=op.f("uq_hosts_folder")),
    )


def downgrade() -> None:
    op.drop_table("hosts")
