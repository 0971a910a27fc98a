"""A membership ends when its mail comes back, which is told apart from leaving."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
loses = "Whether a membership ended by leaving or by bounces."


def upgrade() -> None:
    lost = sa.Column("is_unreachable", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("subscriptions", lost)


def downgrade() -> None:
    op.drop_column("subscriptions", "is_unreachable")
