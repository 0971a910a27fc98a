"""A group is marked as discreet, keeps the names it has had, and ends on a date."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
loses = "Which groups are discreet, their former names, and ends that are still to come."

# The groups that were discreet because the code said so.
DISCREET = ("lgbtq", "people-with-disabilities", "autoimmune")
GROUPS = sa.table(
    "groups", sa.column("id"), sa.column("slug"), sa.column("name"), sa.column("is_discreet"),
    sa.column("known_names", sa.JSON),
)  # fmt: skip


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    for column in (
        sa.Column("is_discreet", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("telling_words", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("known_names", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("ends_at", moment),
        sa.Column("announced_end", moment),
        sa.Column("announced_at", moment),
        sa.Column("emptied_at", moment),
    ):
        op.add_column("groups", column)
    discreet = sa.update(GROUPS).where(GROUPS.c.slug.in_(DISCREET))
    op.execute(discreet.values(is_discreet=sa.true()))
    connection = op.get_bind()
    for number, name in connection.execute(sa.select(GROUPS.c.id, GROUPS.c.name)).all():
        known = sa.update(GROUPS).where(GROUPS.c.id == number)
        connection.execute(known.values(known_names=[name]))


def downgrade() -> None:
    """Lose the marks, the former names, and ends that are still to come."""
    for name in (
        "emptied_at", "announced_at", "announced_end", "ends_at", "known_names", "telling_words",
        "is_discreet",
    ):  # fmt: skip
        op.drop_column("groups", name)
