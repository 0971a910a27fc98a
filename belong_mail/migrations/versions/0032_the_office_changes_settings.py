"""The office changes settings that are no secrets, in a table."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
loses = (
    "Settings that the office changed: those of the files hold again. Words that no subject of a"
    " discreet group may have, where the office added some."
)
brings = ("settings-changed",)


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "site_settings",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String()),
        sa.Column("changed_at", moment, nullable=False),
        sa.Column("announced_at", moment),
        sa.Column("announced", sa.String()),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_site_settings")),
    )


def downgrade() -> None:
    op.drop_table("site_settings")
