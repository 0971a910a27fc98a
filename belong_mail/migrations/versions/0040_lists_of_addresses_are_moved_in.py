"""The office moves a list of addresses in: sealed until the worker has asked each of them."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
loses = "Imported lists, and who was asked and has not answered yet."
brings = ("invited-to-confirm", "invited-to-confirm-again")


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "imports",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("public_id", sa.String(), nullable=False, unique=True),
        sa.Column(
            "group_id",
            sa.Integer(),
            sa.ForeignKey("groups.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("started_at", moment),
        sa.Column("report", sa.JSON(), nullable=False),
    )
    op.create_table(
        "import_batches",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column(
            "import_id",
            sa.Integer(),
            sa.ForeignKey("imports.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
    )
    for name in ("is_invited", "is_reminded"):
        column = sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())
        op.add_column("wishes", column)


def downgrade() -> None:
    """Who was asked and has not answered is forgotten: an older version would keep them longer."""
    op.execute("DELETE FROM wishes WHERE is_invited")
    op.drop_column("wishes", "is_reminded")
    op.drop_column("wishes", "is_invited")
    op.drop_table("import_batches")
    op.drop_table("imports")
