"""The office sets who else gets alerts, and whether newsletters are copied to it."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
loses = "Who else gets alerts, and what the office chose for copies of newsletters."
brings = ("alerts-changed", "copies-end")


def upgrade() -> None:
    with op.batch_alter_table("site_settings") as table:
        table.add_column(sa.Column("wrapped", sa.LargeBinary()))


def downgrade() -> None:
    with op.batch_alter_table("site_settings") as table:
        table.drop_column("wrapped")
