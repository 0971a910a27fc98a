"""An account has passkeys: public keys of its owner's devices."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
loses = "Passkeys. Everyone signs in by emailed links again."
brings = ("passkey-changed",)


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "passkeys",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("public_id", sa.String(), nullable=False, unique=True),
        sa.Column(
            "account_id",
            sa.Integer(),
            sa.ForeignKey("accounts.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("used_at", moment),
    )
    op.create_index("ix_passkeys_account_id", "passkeys", ["account_id"])
    op.add_column("accounts", sa.Column("passkey_declined_at", moment))


def downgrade() -> None:
    """Everyone signs in by emailed links again."""
    with op.batch_alter_table("accounts") as table:
        table.drop_column("passkey_declined_at")
    op.drop_table("passkeys")
