"""Rights have a name beside them and an end, the office's are proven, and sessions say where."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
one_way = "People who were suspended could sign in again, and rights would have no end."

RIGHT_AGE = timedelta(days=365)
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("accounts", sa.Column("name", sa.String(), nullable=False, server_default=""))
    for name in ("office_since", "office_ends_at", "office_reminded_at", "suspended_at"):
        op.add_column("accounts", sa.Column(name, TIME))
    op.add_column("accounts", sa.Column("wrapped_office", sa.LargeBinary()))
    for name in ("ends_at", "reminded_at"):
        op.add_column("leaderships", sa.Column(name, TIME))
    op.add_column(
        "browser_sessions", sa.Column("device", sa.String(), nullable=False, server_default="")
    )
    _begin_the_year()


def _begin_the_year() -> None:
    """Let the rights that there are end in a year."""
    ends = datetime.now(UTC) + RIGHT_AGE
    led = sa.table("leaderships", sa.column("accepted_at", TIME), sa.column("ends_at", TIME))
    op.execute(led.update().where(led.c.accepted_at.is_not(None)).values(ends_at=ends))
    accounts = sa.table(
        "accounts",
        sa.column("is_office", sa.Boolean()),
        sa.column("created_at", TIME),
        sa.column("office_since", TIME),
        sa.column("office_ends_at", TIME),
    )
    begun = {"office_since": accounts.c.created_at, "office_ends_at": ends}
    op.execute(accounts.update().where(accounts.c.is_office).values(**begun))


def downgrade() -> None:
    """Lose names, ends and suspensions; who was suspended may sign in again."""
    op.drop_column("browser_sessions", "device")
    for name in ("ends_at", "reminded_at"):
        op.drop_column("leaderships", name)
    for name in (
        "wrapped_office", "suspended_at", "office_reminded_at", "office_ends_at", "office_since",
        "name",
    ):  # fmt: skip
        op.drop_column("accounts", name)
