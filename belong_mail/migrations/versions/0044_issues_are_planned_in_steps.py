"""An issue is planned in steps, each of which finds its members by group and id."""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
loses = ""

PLANNED = "ix_newsletters_planned_to"
IS_BEING_PLANNED = sa.text("planned_to IS NOT NULL")
MEMBERS = "ix_subscriptions_group_id_id"


def upgrade() -> None:
    op.add_column("newsletters", sa.Column("planned_to", sa.Integer()))
    op.create_index(
        PLANNED,
        "newsletters",
        ["id"],
        sqlite_where=IS_BEING_PLANNED,
        postgresql_where=IS_BEING_PLANNED,
    )
    op.create_index(MEMBERS, "subscriptions", ["group_id", "id"])


def obstacle(connection: sa.Connection) -> str:
    """Say what must be settled before the step is undone, or nothing."""
    number = connection.scalar(
        sa.text("SELECT count(*) FROM newsletters WHERE planned_to IS NOT NULL")
    )
    if not number:
        return ""
    return (
        f"Newsletters whose recipients are still being planned: {number}. Not everyone would get"
        " them. Wait a minute while the worker runs."
    )


def downgrade() -> None:
    op.drop_index(MEMBERS, "subscriptions")
    op.drop_index(PLANNED, "newsletters")
    op.drop_column("newsletters", "planned_to")
