"""Members tick interests, and a newsletter may go to those who ticked one.

The question by which five groups asked for help becomes their interests: an answer to it was kept
only by the leads to whom somebody was introduced.
"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
loses = "What members offer to help with. Newsletters that wait for an interest become drafts."

HELP = "Would you like to help with something?"
# Interests of one group.
MAX_INTERESTS = 6
INDEX = "ix_subscriptions_ticks_due"
WITHOUT_TICKS = sa.text("wrapped_ticks IS NULL")


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "group_interests",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("public_id", sa.String(), nullable=False, unique=True),
        sa.Column("group_id", sa.Integer(), sa.ForeignKey("groups.id"), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("members_shown", sa.Integer(), nullable=True),
        sa.Column("retired_at", moment, nullable=True),
        sa.Column("forgotten_at", moment, nullable=True),
    )
    op.create_index("ix_group_interests_group_id", "group_interests", ["group_id"])
    for table in ("subscriptions", "wishes"):
        op.add_column(table, sa.Column("wrapped_ticks", sa.LargeBinary(), nullable=True))
    op.add_column("sheets", sa.Column("ticks", sa.LargeBinary(), nullable=True))
    op.create_index(
        INDEX, "subscriptions", ["id"], sqlite_where=WITHOUT_TICKS, postgresql_where=WITHOUT_TICKS
    )
    with op.batch_alter_table("newsletters") as newsletters:
        newsletters.add_column(sa.Column("interest_id", sa.Integer(), nullable=True))
        newsletters.add_column(sa.Column("readers_forgotten_at", moment, nullable=True))
        newsletters.create_foreign_key(
            "newsletters_interest_id_fkey", "group_interests", ["interest_id"], ["id"]
        )
    _turn_questions_into_interests()


def downgrade() -> None:
    """Interests and ticks are lost, and issues that wait for one are drafts again."""
    op.execute(
        "UPDATE newsletters SET due_at = NULL WHERE interest_id IS NOT NULL AND queued_at IS NULL"
    )
    with op.batch_alter_table("newsletters") as newsletters:
        newsletters.drop_constraint("newsletters_interest_id_fkey", type_="foreignkey")
        newsletters.drop_column("readers_forgotten_at")
        newsletters.drop_column("interest_id")
    op.drop_index(INDEX, "subscriptions")
    op.drop_column("sheets", "ticks")
    for table in ("wishes", "subscriptions"):
        op.drop_column(table, "wrapped_ticks")
    op.drop_index("ix_group_interests_group_id", "group_interests")
    op.drop_table("group_interests")


def _turn_questions_into_interests() -> None:
    whole, words = sa.Integer(), sa.JSON()
    questions = sa.table(
        "questions", sa.column("id", whole), sa.column("group_id", whole),
        sa.column("label", words), sa.column("options", words),
    )  # fmt: skip
    interests = sa.table(
        "group_interests", sa.column("public_id", sa.String()), sa.column("group_id", whole),
        sa.column("label", words),
    )  # fmt: skip
    connection = op.get_bind()
    for each in connection.execute(sa.select(questions)).mappings().all():
        if not isinstance(each["label"], dict) or each["label"].get("en") != HELP:
            continue
        rows = [
            {"public_id": secrets.token_urlsafe(16), "group_id": each["group_id"], "label": option}
            for option in each["options"][:MAX_INTERESTS]
        ]
        if rows:
            connection.execute(interests.insert(), rows)
        connection.execute(questions.delete().where(questions.c.id == each["id"]))
