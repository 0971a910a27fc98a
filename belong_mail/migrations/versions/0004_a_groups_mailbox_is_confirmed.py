"""A group's mailbox is confirmed by itself and a lead, and wrapped by the worker.

Mailboxes from before were only sealed, which anybody with the public key can do; a migration holds
no key that could tell theirs apart. They are dropped: mail goes to the office until leads have
named them again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
loses = "Shared inboxes that were confirmed."


def upgrade() -> None:
    op.create_table(
        "mailbox_proposals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"],
            ["groups.id"],
            name=op.f("fk_mailbox_proposals_group_id_groups"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailbox_proposals")),
        sa.UniqueConstraint("public_id", name=op.f("uq_mailbox_proposals_public_id")),
        sa.UniqueConstraint("group_id", name=op.f("uq_mailbox_proposals_group_id")),
    )
    with op.batch_alter_table("groups") as batch:
        batch.drop_column("sealed_mailbox")
        batch.add_column(sa.Column("wrapped_mailbox", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("groups") as batch:
        batch.drop_column("wrapped_mailbox")
        batch.add_column(sa.Column("sealed_mailbox", sa.LargeBinary(), nullable=True))
    op.drop_table("mailbox_proposals")
