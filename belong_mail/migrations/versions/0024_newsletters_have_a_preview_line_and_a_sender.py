"""A newsletter has a preview line in each language, and knows which leader released it."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
loses = "Preview lines, and who released which newsletter."


def upgrade() -> None:
    op.add_column(
        "newsletters", sa.Column("preheader", sa.JSON(), nullable=False, server_default="{}")
    )
    with op.batch_alter_table("newsletters") as batch:
        batch.add_column(sa.Column("released_by", sa.Integer()))
        batch.create_foreign_key(
            batch.f("fk_newsletters_released_by_accounts"),
            "accounts",
            ["released_by"],
            ["id"],
            ondelete="SET NULL",
        )
        batch.create_index(batch.f("ix_newsletters_released_by"), ["released_by"])


def downgrade() -> None:
    """Lose the preview lines, and who released what."""
    with op.batch_alter_table("newsletters") as batch:
        batch.drop_index(batch.f("ix_newsletters_released_by"))
        batch.drop_constraint(batch.f("fk_newsletters_released_by_accounts"), type_="foreignkey")
        batch.drop_column("released_by")
    op.drop_column("newsletters", "preheader")
