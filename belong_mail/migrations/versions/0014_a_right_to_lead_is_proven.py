"""A lead's right has its proof beside it; `db upgrade` makes it for those who lead by then."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
one_way = (
    "Since then addresses are encrypted for their groups, and requests are sealed for"
    " their kinds: a version from before cannot open them."
)


def upgrade() -> None:
    op.add_column("leaderships", sa.Column("wrapped_right", sa.LargeBinary()))


def downgrade() -> None:
    op.drop_column("leaderships", "wrapped_right")
