"""An account may be linked to the district's sign-in; the worker alone links it."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
loses = "Links to the district's sign-in. Everyone signs in by emailed links again."
brings = ("identity-linked", "identity-unlinked")


def upgrade() -> None:
    op.create_table(
        "identities",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column(
            "account_id",
            sa.Integer(),
            sa.ForeignKey("accounts.id", ondelete="CASCADE"),
            nullable=False,
            unique=True,
        ),
        sa.Column("name", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("wrapped_subject", sa.LargeBinary(), nullable=False),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Everyone signs in by emailed links again."""
    op.drop_table("identities")
