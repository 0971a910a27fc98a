"""A group may have a template, from which its newsletters start."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
loses = "Templates of groups."


def upgrade() -> None:
    op.add_column(
        "newsletters",
        sa.Column("is_template", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    """Lose the templates: an older version would list them as drafts that may be sent."""
    templates = "SELECT id FROM newsletters WHERE is_template"
    op.execute(sa.text(f"DELETE FROM images WHERE newsletter_id IN ({templates})"))  # noqa: S608
    op.execute(sa.text("DELETE FROM newsletters WHERE is_template"))
    op.drop_column("newsletters", "is_template")
