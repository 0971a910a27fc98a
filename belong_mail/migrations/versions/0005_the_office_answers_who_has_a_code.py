"""The office answers writers who have a receipt code; accounts may answer for the office."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
loses = "The office's answers to people with a receipt code, and who works for the office."


def upgrade() -> None:
    op.create_table(
        "contact_threads",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("receipt_key", sa.LargeBinary(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_threads")),
        sa.UniqueConstraint("receipt_key", name=op.f("uq_contact_threads_receipt_key")),
        sa.UniqueConstraint("reference", name=op.f("uq_contact_threads_reference")),
    )
    op.create_table(
        "contact_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("thread_id", sa.Integer(), nullable=False),
        sa.Column("is_office", sa.Boolean(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["thread_id"],
            ["contact_threads.id"],
            name=op.f("fk_contact_entries_thread_id_contact_threads"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_entries")),
    )
    with op.batch_alter_table("contact_entries") as batch:
        batch.create_index(batch.f("ix_contact_entries_thread_id"), ["thread_id"], unique=False)
    with op.batch_alter_table("contact_messages") as batch:
        batch.add_column(sa.Column("thread_id", sa.Integer(), nullable=True))
        batch.create_foreign_key(
            batch.f("fk_contact_messages_thread_id_contact_threads"),
            "contact_threads",
            ["thread_id"],
            ["id"],
            ondelete="SET NULL",
        )
    with op.batch_alter_table("accounts") as batch:
        batch.add_column(
            sa.Column("is_office", sa.Boolean(), nullable=False, server_default=sa.false())
        )


def downgrade() -> None:
    with op.batch_alter_table("accounts") as batch:
        batch.drop_column("is_office")
    with op.batch_alter_table("contact_messages") as batch:
        batch.drop_constraint(
            batch.f("fk_contact_messages_thread_id_contact_threads"), type_="foreignkey"
        )
        batch.drop_column("thread_id")
    with op.batch_alter_table("contact_entries") as batch:
        batch.drop_index(batch.f("ix_contact_entries_thread_id"))
    op.drop_table("contact_entries")
    op.drop_table("contact_threads")
