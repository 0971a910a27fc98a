"""The worker writes down rounded figures for the office, and whom a group does not let in."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
loses = "The office's figures."
brings = ("removed-by-office",)


def upgrade() -> None:
    op.create_table(
        "office_figures",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "barred_addresses",
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("address_index", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "address_index"),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], ondelete="CASCADE"),
    )


def downgrade() -> None:
    """Lose the figures, and let in whom a group did not."""
    op.drop_table("barred_addresses")
    op.drop_table("office_figures")


def obstacle(connection: sa.Connection) -> str:
    """Say what must be settled before the step is undone, or nothing."""
    number = connection.scalar(sa.text("SELECT count(*) FROM barred_addresses"))
    if not number:
        return ""
    return (
        f"Addresses that the office keeps out of a group: {number}. The version before would let"
        " them in again. Let them in at /office/addresses, if that is what you want."
    )
