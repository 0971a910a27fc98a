"""An issue of which nothing waits keeps its counts, so that its copies' rows are read no more."""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
loses = ""

# Before, an issue's counts were those of the rows that are gone.
ONLY_GONE = """
UPDATE issue_counts SET
    number = number - (
        SELECT count(*) FROM deliveries
        WHERE deliveries.newsletter_id = issue_counts.newsletter_id
        AND deliveries.state = issue_counts.state
    ),
    resent = resent - (
        SELECT count(*) FROM deliveries
        WHERE deliveries.newsletter_id = issue_counts.newsletter_id
        AND deliveries.state = issue_counts.state AND deliveries.resent > 0
    )
WHERE newsletter_id IN (SELECT newsletter_id FROM settled_issues WHERE settled_at IS NOT NULL)
"""


def upgrade() -> None:
    op.create_table(
        "settled_issues",
        sa.Column(
            "newsletter_id",
            sa.Integer(),
            sa.ForeignKey("newsletters.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
    )


def downgrade() -> None:
    """Let the rows that are still there be counted again."""
    op.execute(ONLY_GONE)
    op.execute("DELETE FROM issue_counts WHERE number = 0")
    op.drop_table("settled_issues")
