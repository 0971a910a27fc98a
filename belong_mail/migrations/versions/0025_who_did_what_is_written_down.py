"""The audit trail: rows are added, never changed, and deleted after two years at the earliest."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
one_way = "The audit trail would be deleted, and it is kept for two years."

# SQLite knows no roles: there the table itself refuses. A row that replaces another is no way
# round, for SQLite would delete the old one without asking a trigger.
REFUSALS = (
    """CREATE TRIGGER audit_entries_refuse_update BEFORE UPDATE ON audit_entries
    BEGIN SELECT RAISE(ABORT, 'the audit trail is not changed'); END""",
    """CREATE TRIGGER audit_entries_refuse_delete BEFORE DELETE ON audit_entries
    WHEN OLD.at > datetime('now', '-730 days')
    BEGIN SELECT RAISE(ABORT, 'the audit trail is kept for two years'); END""",
    """CREATE TRIGGER audit_entries_refuse_replace BEFORE INSERT ON audit_entries
    WHEN EXISTS (SELECT 1 FROM audit_entries WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'the audit trail is not changed'); END""",
)


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.current_timestamp(),
        ),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=True),
        sa.Column("browser_session", sa.String(), nullable=True),
        sa.Column("group_slug", sa.String(), nullable=True),
        sa.Column("newsletter", sa.String(), nullable=True),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.CheckConstraint("role IN ('account', 'operator', 'worker', 'nobody')", name="role"),
    )
    op.create_index("ix_audit_entries_at", "audit_entries", ["at"])
    op.create_index("ix_audit_entries_newsletter", "audit_entries", ["newsletter"])
    op.create_index("ix_audit_entries_group_slug_id", "audit_entries", ["group_slug", "id"])
    if op.get_bind().dialect.name == "sqlite":
        for refusal in REFUSALS:
            op.execute(refusal)


def downgrade() -> None:
    """Lose the trail."""
    op.drop_table("audit_entries")
