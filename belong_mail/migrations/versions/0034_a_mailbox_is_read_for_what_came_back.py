"""The worker remembers how far it has read the mailbox that email comes back to."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
loses = "How far the mailbox for bounces was read. A bounce may count twice."
brings = ("alert-inbound",)


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "inbound_mailboxes",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("uid_validity", number, nullable=False),
        sa.Column("handled_uid", number, nullable=False),
        sa.Column("broken_uid", number, nullable=False),
        sa.Column("breaks", sa.Integer(), nullable=False),
        sa.Column("first_tried_at", moment, nullable=False),
        sa.Column("tried_at", moment, nullable=False),
        sa.Column("looked_at", moment),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_step", sa.String(), nullable=False),
        sa.Column("leased_by", sa.String(), nullable=False),
        sa.Column("leased_until", moment),
    )
    op.create_table(
        "inbound_digests",
        sa.Column("id", number, primary_key=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("seen_at", moment, nullable=False, index=True),
    )


def downgrade() -> None:
    """What is in the mailbox is read again by a later version, and counts twice at worst."""
    op.drop_table("inbound_digests")
    op.drop_table("inbound_mailboxes")
