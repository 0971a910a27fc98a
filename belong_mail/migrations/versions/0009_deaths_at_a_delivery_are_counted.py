"""Deaths at a delivery are counted: what kills each worker that tries it stops no other."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
loses = ""


def upgrade() -> None:
    deaths = sa.Column("deaths", sa.Integer(), nullable=False, server_default="0")
    op.add_column("deliveries", deaths)


def downgrade() -> None:
    op.drop_column("deliveries", "deaths")
