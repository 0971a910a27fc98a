"""A group may let staff join with a personal address."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
loses = "Which groups allow personal addresses. Who has joined with one stays."
brings = ("staff-code",)


def upgrade() -> None:
    allows = sa.Boolean()
    op.add_column(
        "groups",
        sa.Column("allows_personal_addresses", allows, nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    """Lose which groups allow it; who has joined stays."""
    op.drop_column("groups", "allows_personal_addresses")
