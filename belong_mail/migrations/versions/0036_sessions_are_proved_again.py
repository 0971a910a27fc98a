"""Who is signed in proves again who they are before some presses."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
loses = ""
brings = ("proof",)


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column("browser_sessions", sa.Column("proven_at", moment))


def downgrade() -> None:
    with op.batch_alter_table("browser_sessions") as table:
        table.drop_column("proven_at")
