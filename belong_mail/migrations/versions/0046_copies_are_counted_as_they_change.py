"""Each change of an issue's copies is counted as it happens, so that nobody reads all their rows.

The database does it itself: no place that changes a state can forget it, not even a version of the
program that knows nothing of it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
loses = ""

TRIGGERS = ("deliveries_count_insert", "deliveries_count_update")
IS_MOVED = "OLD.state <> NEW.state OR (OLD.resent > 0) <> (NEW.resent > 0)"
ADD = """INSERT INTO issue_counts (newsletter_id, state, backend, number, resent)
    VALUES (NEW.newsletter_id, NEW.state, 0, 1, NEW.resent > 0)
    ON CONFLICT (newsletter_id, state, backend)
    DO UPDATE SET number = number + 1, resent = resent + excluded.resent;"""
TAKE = """UPDATE issue_counts SET number = number - 1, resent = resent - (OLD.resent > 0)
    WHERE newsletter_id = OLD.newsletter_id AND state = OLD.state AND backend = 0;"""
SQLITE = (
    f"""CREATE TRIGGER deliveries_count_insert AFTER INSERT ON deliveries
    WHEN NEW.newsletter_id IS NOT NULL BEGIN {ADD} END""",
    f"""CREATE TRIGGER deliveries_count_update AFTER UPDATE OF state, resent ON deliveries
    WHEN NEW.newsletter_id IS NOT NULL AND ({IS_MOVED}) BEGIN {TAKE} {ADD} END""",
)

# A statement's rows are counted together. Each backend has rows of its own: none waits for another,
# so there is no order in which two could lock each other out. It runs with its owner's rights: the
# web may not write here.
FUNCTION = """
CREATE OR REPLACE FUNCTION {schema}.{name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO {schema}.issue_counts AS counts (newsletter_id, state, backend, number, resent)
    SELECT newsletter_id, state, pg_backend_pid(), sum(number), sum(resent) FROM ({moved}) AS moved
    WHERE newsletter_id IS NOT NULL GROUP BY newsletter_id, state
    HAVING sum(number) <> 0 OR sum(resent) <> 0
    ON CONFLICT (newsletter_id, state, backend) DO UPDATE
    SET number = counts.number + excluded.number, resent = counts.resent + excluded.resent;
    RETURN NULL;
END $$"""
ADDED = "SELECT newsletter_id, state, 1 AS number, (resent > 0)::int AS resent FROM added"
TAKEN = "SELECT newsletter_id, state, -1, -(resent > 0)::int FROM taken"
MOVES = (ADDED, f"{ADDED} UNION ALL {TAKEN}")
POSTGRESQL = (
    """CREATE TRIGGER deliveries_count_insert AFTER INSERT ON deliveries
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.deliveries_count_insert()""",
    """CREATE TRIGGER deliveries_count_update AFTER UPDATE ON deliveries
    REFERENCING OLD TABLE AS taken NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.deliveries_count_update()""",
)

# The counts of before, and of issues that were not settled the rows that are there.
FILL = """
INSERT INTO issue_counts (newsletter_id, state, backend, number, resent)
SELECT newsletter_id, state, 0, sum(number), sum(resent) FROM (
    SELECT newsletter_id, state, number, resent FROM counts_before
    UNION ALL
    SELECT newsletter_id, state, count(*), sum(CASE WHEN resent > 0 THEN 1 ELSE 0 END)
    FROM deliveries
    WHERE newsletter_id IS NOT NULL AND newsletter_id NOT IN (
        SELECT newsletter_id FROM settled_issues WHERE settled_at IS NOT NULL
    )
    GROUP BY newsletter_id, state
) AS found GROUP BY newsletter_id, state
"""
# What is left when the rows that are there are not counted: those that are gone.
UNFILL = """
INSERT INTO issue_counts (newsletter_id, state, number, resent)
SELECT newsletter_id, state, sum(number), sum(resent) FROM (
    SELECT newsletter_id, state, number, resent FROM counts_before
    UNION ALL
    SELECT newsletter_id, state, -count(*), -sum(CASE WHEN resent > 0 THEN 1 ELSE 0 END)
    FROM deliveries WHERE newsletter_id IS NOT NULL GROUP BY newsletter_id, state
) AS found
WHERE newsletter_id IN (SELECT id FROM newsletters)
GROUP BY newsletter_id, state HAVING sum(number) <> 0
"""


def upgrade() -> None:
    _begin_anew()
    op.create_table(
        "issue_counts",
        sa.Column("newsletter_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(), primary_key=True),
        sa.Column("backend", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("resent", sa.Integer(), nullable=False),
    )
    # From here on nobody else writes a delivery before this transaction ends.
    _create_triggers()
    op.execute(FILL)
    op.drop_table("counts_before")
    op.execute("DELETE FROM settled_issues WHERE settled_at IS NULL")
    with op.batch_alter_table("settled_issues") as settled:
        settled.drop_column("due_at")
        settled.alter_column("settled_at", existing_type=sa.DateTime(timezone=True), nullable=False)


def downgrade() -> None:
    """Let the rows that are still there be counted again, and settle issues anew."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for name in TRIGGERS:
        op.execute(f"DROP TRIGGER {name}" if is_sqlite else f"DROP TRIGGER {name} ON deliveries")
        if not is_sqlite:
            op.execute(f"DROP FUNCTION {name}()")
    op.execute("DELETE FROM settled_issues")
    with op.batch_alter_table("settled_issues") as settled:
        settled.add_column(sa.Column("due_at", sa.DateTime(timezone=True), nullable=False))
        settled.alter_column("settled_at", existing_type=sa.DateTime(timezone=True), nullable=True)
    _begin_anew()
    op.create_table(
        "issue_counts",
        sa.Column(
            "newsletter_id",
            sa.Integer(),
            sa.ForeignKey("newsletters.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("state", sa.String(), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("resent", sa.Integer(), nullable=False),
    )
    op.execute(UNFILL)
    op.drop_table("counts_before")


def _begin_anew() -> None:
    """Put the counts aside, and drop their table."""
    op.execute(
        "CREATE TABLE counts_before AS SELECT newsletter_id, state, number, resent"
        " FROM issue_counts"
    )
    op.drop_table("issue_counts")


def _create_triggers() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for statement in SQLITE:
            op.execute(statement)
        return
    schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
    for name, moved, trigger in zip(TRIGGERS, MOVES, POSTGRESQL, strict=True):
        op.get_bind().exec_driver_sql(FUNCTION.format(schema=schema, name=name, moved=moved))
        op.get_bind().exec_driver_sql(trigger.format(schema=schema))
