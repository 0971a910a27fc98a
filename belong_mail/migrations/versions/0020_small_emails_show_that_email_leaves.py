"""Small emails show that email leaves: the few of them are found by an index of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
loses = ""

NAME = "ix_deliveries_canary"


def upgrade() -> None:
    which = sa.text("kind = 'canary'")
    op.create_index(NAME, "deliveries", ["created_at"], sqlite_where=which, postgresql_where=which)


def downgrade() -> None:
    op.drop_index(NAME, "deliveries")
