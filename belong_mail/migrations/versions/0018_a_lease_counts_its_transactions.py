"""A lease counts its worker's transactions, and a host names the timeline that it knows."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
loses = ""


def upgrade() -> None:
    op.add_column("leases", sa.Column("turn", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("hosts", sa.Column("timeline", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("hosts", "timeline")
    op.drop_column("leases", "turn")
