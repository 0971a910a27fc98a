"""Who is invited to lead a group accepts; who leads one already has accepted."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
loses = "Invitations to lead that no one has accepted yet."


def upgrade() -> None:
    op.add_column("leaderships", sa.Column("accepted_at", sa.DateTime(timezone=True)))
    op.execute("UPDATE leaderships SET accepted_at = since")


def downgrade() -> None:
    op.execute("DELETE FROM leaderships WHERE accepted_at IS NULL")
    op.drop_column("leaderships", "accepted_at")
