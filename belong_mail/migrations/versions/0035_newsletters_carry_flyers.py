"""Newsletters carry flyers: PDF files that are attached."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
loses = "Flyers of drafts. What is being sent keeps its own."


def upgrade() -> None:
    op.create_table(
        "flyers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("is_tagged", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["newsletter_id"],
            ["newsletters.id"],
            name=op.f("fk_flyers_newsletter_id_newsletters"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flyers")),
        sa.UniqueConstraint("public_id", name=op.f("uq_flyers_public_id")),
    )
    op.create_index(op.f("ix_flyers_newsletter_id"), "flyers", ["newsletter_id"])


def downgrade() -> None:
    """Lose the flyers; what is being sent keeps those that are in its finished bytes."""
    op.drop_table("flyers")


def obstacle(connection: sa.Connection) -> str:
    """Say what must be settled before the step is undone, or nothing."""
    waiting = (
        "SELECT count(*) FROM newsletters WHERE due_at IS NOT NULL AND queued_at IS NULL"
        " AND id IN (SELECT newsletter_id FROM flyers)"
    )
    number = connection.scalar(sa.text(waiting))
    if not number:
        return ""
    return (
        f"Scheduled newsletters with flyers: {number}. They would go out without. Cancel them, or"
        " wait until they have been sent."
    )
