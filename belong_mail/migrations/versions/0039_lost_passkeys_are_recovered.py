"""Whoever lost their passkeys recovers their account by its mailbox, after a day."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
loses = "Recoveries of accounts that are under way. An emailed link signs in at once."
brings = ("recovery",)


def upgrade() -> None:
    op.create_table(
        "recoveries",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("public_id", sa.String(), nullable=False, unique=True),
        sa.Column(
            "account_id",
            sa.Integer(),
            sa.ForeignKey("accounts.id", ondelete="CASCADE"),
            nullable=False,
            unique=True,
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """An emailed link signs in, whoever has a passkey."""
    op.drop_table("recoveries")
