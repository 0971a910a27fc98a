"""An old issue keeps how many of its copies ended how, in place of a row for each."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
loses = "How many got newsletters that are older than 400 days."


def upgrade() -> None:
    op.create_table(
        "issue_counts",
        sa.Column(
            "newsletter_id",
            sa.Integer(),
            sa.ForeignKey("newsletters.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("state", sa.String(), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("resent", sa.Integer(), nullable=False),
    )
    op.add_column("newsletters", sa.Column("counted_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """Lose the counts of old issues; the rows that they were made of are gone."""
    op.drop_column("newsletters", "counted_at")
    op.drop_table("issue_counts")
