"""Members manage and leads write: sessions, sheets, pictures, pauses.

Older rows get empty words; what nobody wrote is not guessed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
loses = "Leaders' sessions, pictures, pauses and shared inboxes."


def upgrade() -> None:
    op.create_table(
        "address_changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_changes")),
        sa.UniqueConstraint("public_id", name=op.f("uq_address_changes_public_id")),
    )
    op.create_table(
        "sheets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("locked", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sheets")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_sheets_secret_hash")),
    )
    op.create_table(
        "browser_sessions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_browser_sessions_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_browser_sessions")),
        sa.UniqueConstraint("public_id", name=op.f("uq_browser_sessions_public_id")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_browser_sessions_token_hash")),
    )
    with op.batch_alter_table("browser_sessions") as batch:
        batch.create_index(batch.f("ix_browser_sessions_account_id"), ["account_id"], unique=False)

    op.create_table(
        "sign_ins",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_sign_ins_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ins")),
        sa.UniqueConstraint("public_id", name=op.f("uq_sign_ins_public_id")),
    )
    with op.batch_alter_table("sign_ins") as batch:
        batch.create_index(batch.f("ix_sign_ins_account_id"), ["account_id"], unique=False)

    op.create_table(
        "images",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("newsletter_id", sa.Integer(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["newsletter_id"],
            ["newsletters.id"],
            name=op.f("fk_images_newsletter_id_newsletters"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        sa.UniqueConstraint("public_id", name=op.f("uq_images_public_id")),
    )
    with op.batch_alter_table("images") as batch:
        batch.create_index(batch.f("ix_images_newsletter_id"), ["newsletter_id"], unique=False)

    with op.batch_alter_table("contact_messages") as batch:
        batch.add_column(sa.Column("group_id", sa.Integer(), nullable=True))
        batch.create_foreign_key(
            batch.f("fk_contact_messages_group_id_groups"),
            "groups",
            ["group_id"],
            ["id"],
            ondelete="SET NULL",
        )

    with op.batch_alter_table("deliveries") as batch:
        batch.add_column(sa.Column("sealed_arguments", sa.LargeBinary(), nullable=True))

    with op.batch_alter_table("groups") as batch:
        batch.add_column(sa.Column("resources", sa.JSON(), nullable=False, server_default="[]"))
        batch.add_column(sa.Column("welcome", sa.JSON(), nullable=False, server_default="{}"))
        batch.add_column(sa.Column("before", sa.JSON(), nullable=True))
        batch.add_column(sa.Column("sealed_mailbox", sa.LargeBinary(), nullable=True))

    with op.batch_alter_table("chunks") as batch:
        batch.add_column(
            sa.Column("is_halted", sa.Boolean(), nullable=False, server_default=sa.false())
        )

    with op.batch_alter_table("newsletters") as batch:
        batch.add_column(sa.Column("subject_es", sa.String(), nullable=False, server_default=""))
        batch.add_column(sa.Column("text_es", sa.String(), nullable=False, server_default=""))
        batch.add_column(
            sa.Column(
                "changed_at",
                sa.DateTime(timezone=True),
                nullable=False,
                server_default="2026-11-24 00:00:00+00",
            )
        )
        batch.add_column(sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("held_at", sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table("questions") as batch:
        batch.add_column(sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE questions SET approved_at = CURRENT_TIMESTAMP")

    with op.batch_alter_table("subscriptions") as batch:
        batch.add_column(sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("subscriptions") as batch:
        batch.drop_column("paused_until")

    with op.batch_alter_table("questions") as batch:
        batch.drop_column("approved_at")

    with op.batch_alter_table("chunks") as batch:
        batch.drop_column("is_halted")

    with op.batch_alter_table("newsletters") as batch:
        batch.drop_column("held_at")
        batch.drop_column("stopped_at")
        batch.drop_column("paused_at")
        batch.drop_column("changed_at")
        batch.drop_column("text_es")
        batch.drop_column("subject_es")

    with op.batch_alter_table("groups") as batch:
        batch.drop_column("sealed_mailbox")
        batch.drop_column("before")
        batch.drop_column("welcome")
        batch.drop_column("resources")

    with op.batch_alter_table("deliveries") as batch:
        batch.drop_column("sealed_arguments")

    with op.batch_alter_table("contact_messages") as batch:
        batch.drop_constraint(batch.f("fk_contact_messages_group_id_groups"), type_="foreignkey")
        batch.drop_column("group_id")

    with op.batch_alter_table("images") as batch:
        batch.drop_index(batch.f("ix_images_newsletter_id"))

    op.drop_table("images")
    with op.batch_alter_table("sign_ins") as batch:
        batch.drop_index(batch.f("ix_sign_ins_account_id"))

    op.drop_table("sign_ins")
    with op.batch_alter_table("browser_sessions") as batch:
        batch.drop_index(batch.f("ix_browser_sessions_account_id"))

    op.drop_table("browser_sessions")
    op.drop_table("sheets")
    op.drop_table("address_changes")
