"""Issues are written by language: subject and text hold JSON by code, for any number of them."""

from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
loses = "Texts in languages other than English and Spanish."

WRITTEN = ("subject", "text")
# Codes of the two languages that had columns of their own.
FIRST, SECOND = "en", "es"


def upgrade() -> None:
    for name in WRITTEN:
        op.execute(f"ALTER TABLE newsletters RENAME COLUMN {name} TO {name}_{FIRST}")
        column = sa.Column(name, sa.JSON(), nullable=False, server_default="{}")
        op.add_column("newsletters", column)
    old = {f"{name}_{code}": sa.String() for name in WRITTEN for code in (FIRST, SECOND)}
    _rewrite(old | dict.fromkeys(WRITTEN, sa.JSON()), _by_code)
    for column_name in old:
        op.drop_column("newsletters", column_name)


def downgrade() -> None:
    """Texts in other languages than these two are lost."""
    for name in WRITTEN:
        op.execute(f"ALTER TABLE newsletters RENAME COLUMN {name} TO {name}_by_code")
        for each in (name, f"{name}_{SECOND}"):
            column = sa.Column(each, sa.String(), nullable=False, server_default="")
            op.add_column("newsletters", column)
    by_code = {f"{name}_by_code": sa.JSON() for name in WRITTEN}
    own = [column_name for name in WRITTEN for column_name in (name, f"{name}_{SECOND}")]
    _rewrite(by_code | dict.fromkeys(own, sa.String()), _by_column)
    for column_name in by_code:
        op.drop_column("newsletters", column_name)


def _by_code(issue: sa.RowMapping) -> dict[str, dict[str, str]]:
    return {
        name: {code: words for code in (FIRST, SECOND) if (words := issue[f"{name}_{code}"])}
        for name in WRITTEN
    }


def _by_column(issue: sa.RowMapping) -> dict[str, str]:
    return {
        column: _words(issue[f"{name}_by_code"], code)
        for name in WRITTEN
        for column, code in ((name, FIRST), (f"{name}_{SECOND}", SECOND))
    }


def _words(by_code: object, code: str) -> str:
    """Return what stands there for a language; JSON of another shape says nothing."""
    words = by_code.get(code) if isinstance(by_code, dict) else None
    return words if isinstance(words, str) else ""


def _rewrite(columns: dict[str, sa.types.TypeEngine], rewritten: Callable[..., dict]) -> None:
    """Write each issue anew, one at a time: a text may have 100,000 characters."""
    named = (sa.column(name, kind) for name, kind in columns.items())
    issues = sa.table("newsletters", sa.column("id", sa.Integer()), *named)
    connection = op.get_bind()
    for number in connection.scalars(sa.select(issues.c.id)).all():
        own = issues.c.id == number
        issue = connection.execute(sa.select(issues).where(own)).mappings().one()
        connection.execute(issues.update().where(own).values(rewritten(issue)))
