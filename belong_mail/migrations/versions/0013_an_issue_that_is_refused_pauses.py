"""An issue that is refused pauses; what is paused is found; what is in doubt has its time."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
loses = "Which newsletters were paused because they were refused."

NAME = "ix_chunks_halted"


def upgrade() -> None:
    refused = sa.Column("is_refused", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("newsletters", refused)
    where = sa.text("is_halted")
    op.create_index(NAME, "chunks", ["newsletter_id"], sqlite_where=where, postgresql_where=where)
    op.execute(
        "UPDATE deliveries SET finished_at = lost_at"
        " WHERE state = 'uncertain' AND finished_at IS NULL"
    )


def downgrade() -> None:
    op.drop_index(NAME, "chunks")
    op.drop_column("newsletters", "is_refused")
