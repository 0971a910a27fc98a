"""No chore reads whole tables: a lease lists what is in hand, a day is counted by minutes.

What is left to find has an index of its own, in which no copy of an issue stands; none has a column
that is changed when a message is settled.
"""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
loses = ""

INACTIVE = "confirmed_at IS NULL OR ended_at IS NOT NULL OR is_suppressed"
INDEXES = (
    (
        "ix_deliveries_single",
        "deliveries",
        ["newsletter_id", "created_at"],
        "newsletter_id IS NULL",
    ),
    ("ix_deliveries_told", "deliveries", ["created_at"], "sealed_arguments IS NOT NULL"),
    ("ix_subscriptions_inactive", "subscriptions", ["id"], INACTIVE),
    ("ix_subscriptions_introduced", "subscriptions", ["id"], "wrapped_introduction IS NOT NULL"),
    ("ix_requests_subscription_id", "requests", ["subscription_id"], "subscription_id IS NOT NULL"),
)
MINUTE = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:00.000000', finished_at)",
    "postgresql": "date_trunc('minute', finished_at)",
}
LIST = {"sqlite": "group_concat(id)", "postgresql": "string_agg(CAST(id AS TEXT), ',')"}


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    for name, table, columns, which in INDEXES:
        as_sqlite = sa.text(which.replace("is_suppressed", "is_suppressed = 1"))
        op.create_index(
            name, table, columns, sqlite_where=as_sqlite, postgresql_where=sa.text(which)
        )
    op.add_column("leases", sa.Column("held", sa.String(), nullable=True))
    op.execute(
        f"UPDATE leases SET held = (SELECT {LIST[dialect]} FROM deliveries"  # noqa: S608 - ours
        " WHERE claimed_by = leases.owner AND state = 'sending')"
    )
    op.create_table(
        "sent",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "minute", name=op.f("pk_sent")),
    )
    counting = sa.text(
        "INSERT INTO sent (owner, minute, number)"  # noqa: S608 - ours
        f" SELECT '', {MINUTE[dialect]}, count(*) FROM deliveries"
        " WHERE is_dot_sent AND finished_at > :since GROUP BY 2"
    )
    since = datetime.now(UTC) - timedelta(days=2)
    op.execute(counting.bindparams(sa.bindparam("since", since, sa.DateTime(timezone=True))))


def downgrade() -> None:
    op.drop_table("sent")
    op.drop_column("leases", "held")
    for name, table, _, _ in INDEXES:
        op.drop_index(name, table)
