"""What waits for the office has a topic and an age."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
loses = "Topics of messages with a receipt code, and how long questions have waited."


def upgrade() -> None:
    op.add_column("contact_threads", sa.Column("topic", sa.String()))
    op.add_column("questions", sa.Column("proposed_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("questions", "proposed_at")
    op.drop_column("contact_threads", "topic")
