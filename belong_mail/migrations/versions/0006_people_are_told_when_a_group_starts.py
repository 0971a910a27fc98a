"""People are told when a group starts: interests, sealed like memberships, kept until a day."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
loses = "Who is waiting for a group to start."


def upgrade() -> None:
    op.create_table(
        "interests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("address_index", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_address", sa.LargeBinary(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("kept_until", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["groups.id"],
            name=op.f("fk_interests_group_id_groups"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interests")),
        sa.UniqueConstraint("public_id", name=op.f("uq_interests_public_id")),
        sa.UniqueConstraint(
            "group_id", "address_index", name=op.f("uq_interests_group_id_address_index")
        ),
    )


def downgrade() -> None:
    op.drop_table("interests")
