"""A newsletter may need a second leader's yes; an operator's command lets it go out by itself."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
one_way = "Newsletters that wait for a second leader's yes would go out without it."


def _account(name: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.ForeignKeyConstraint(
            [name], ["accounts.id"], name=op.f(f"fk_approvals_{name}_accounts"), ondelete="CASCADE"
        )
    ]


def _issue(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["newsletter_id"],
        ["newsletters.id"],
        name=op.f(f"fk_{table}_newsletter_id_newsletters"),
        ondelete="CASCADE",
    )


def upgrade() -> None:
    op.add_column(
        "groups", sa.Column("second_yes", sa.String(), nullable=False, server_default="auto")
    )
    op.create_table(
        "approvals",
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("undo_minutes", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("approved_by", sa.Integer()),
        sa.Column("approved_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("newsletter_id", name=op.f("pk_approvals")),
        _issue("approvals"),
        *_account("asked_by"),
        *_account("approved_by"),
    )
    for name in ("asked_by", "approved_by"):
        op.create_index(op.f(f"ix_approvals_{name}"), "approvals", [name])
    op.create_table(
        "operator_releases",
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("newsletter_id", name=op.f("pk_operator_releases")),
        _issue("operator_releases"),
    )


def downgrade() -> None:
    """Lose who approved what; what is scheduled goes out without."""
    op.drop_table("operator_releases")
    op.drop_table("approvals")
    op.drop_column("groups", "second_yes")
