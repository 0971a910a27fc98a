"""A dead worker is noticed, a late issue pauses, and a request tells when it was written.

What two old versions left is put right. The first kept ready issues open to whoever writes to the
database: they are made again. Another had a step 0002 without the pictures' descriptions.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
loses = "Since when requests wait, and that a newsletter paused because it was late."

NAME = "ix_requests_created_at"
OPEN = {
    "sqlite": "substr(wire, 1, 1) <> x'02'",
    "postgresql": "substring(wire from 1 for 1) <> '\\x02'::bytea",
}


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column("hosts", sa.Column("worked_at", moment, nullable=True))
    op.add_column("hosts", sa.Column("retry_asked_at", moment, nullable=True))
    op.add_column("requests", sa.Column("created_at", moment, nullable=True))
    op.create_index(NAME, "requests", ["created_at"])
    op.add_column("newsletters", sa.Column("resumed_at", moment, nullable=True))
    late = sa.Column("is_late", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("newsletters", late)
    op.execute(f"DELETE FROM frozen_issues WHERE {OPEN[op.get_context().dialect.name]}")  # noqa: S608 - ours
    images = sa.inspect(op.get_bind()).get_columns("images")
    if "description" not in {column["name"] for column in images}:
        words = sa.Column("description", sa.String(), nullable=False, server_default="")
        op.add_column("images", words)


def downgrade() -> None:
    op.drop_column("newsletters", "is_late")
    op.drop_column("newsletters", "resumed_at")
    op.drop_index(NAME, "requests")
    op.drop_column("requests", "created_at")
    op.drop_column("hosts", "retry_asked_at")
    op.drop_column("hosts", "worked_at")
