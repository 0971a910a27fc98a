"""What leads were told is kept, a plus tag counts once, and what is erased goes row by row."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
loses = "Erasures that are under way, and the rounded numbers that leaders were told."


def upgrade() -> None:
    op.add_column("groups", sa.Column("members_shown", sa.Integer(), nullable=True))
    op.add_column("subscriptions", sa.Column("counted_index", sa.LargeBinary(), nullable=True))
    op.create_table(
        "erasures",
        sa.Column("address_index", sa.LargeBinary(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("address_index", name="pk_erasures"),
        sa.UniqueConstraint("public_id", name="uq_erasures_public_id"),
    )


def downgrade() -> None:
    op.drop_table("erasures")
    op.drop_column("subscriptions", "counted_index")
    op.drop_column("groups", "members_shown")
