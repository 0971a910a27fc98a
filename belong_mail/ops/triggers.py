"""Create the triggers: on SQLite the audit trail refuses changes; copies of issues are counted."""

from sqlalchemy import Connection, func, select

from belong_mail.core.retention import AUDIT_AGE

# SQLite has no roles, so triggers refuse changes of the audit trail. INSERT OR REPLACE is refused,
# too, as it would delete the old row without asking a trigger.
REFUSALS = (
    """CREATE TRIGGER audit_entries_refuse_update BEFORE UPDATE ON audit_entries
    BEGIN SELECT RAISE(ABORT, 'the audit trail is not changed'); END""",
    f"""CREATE TRIGGER audit_entries_refuse_delete BEFORE DELETE ON audit_entries
    WHEN OLD.at > datetime('now', '-{AUDIT_AGE.days} days')
    BEGIN SELECT RAISE(ABORT, 'the audit trail is kept for two years'); END""",
    """CREATE TRIGGER audit_entries_refuse_replace BEFORE INSERT ON audit_entries
    WHEN EXISTS (SELECT 1 FROM audit_entries WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'the audit trail is not changed'); END""",
)

# The database itself counts each change of an issue's copies: no code can forget to.
IS_MOVED = "OLD.state <> NEW.state OR (OLD.resent > 0) <> (NEW.resent > 0)"
ADD = """INSERT INTO issue_counts (newsletter_id, state, backend, number, resent)
    VALUES (NEW.newsletter_id, NEW.state, 0, 1, NEW.resent > 0)
    ON CONFLICT (newsletter_id, state, backend)
    DO UPDATE SET number = number + 1, resent = resent + excluded.resent;"""
TAKE = """UPDATE issue_counts SET number = number - 1, resent = resent - (OLD.resent > 0)
    WHERE newsletter_id = OLD.newsletter_id AND state = OLD.state AND backend = 0;"""
COUNTING_IN_SQLITE = (
    f"""CREATE TRIGGER deliveries_count_insert AFTER INSERT ON deliveries
    WHEN NEW.newsletter_id IS NOT NULL BEGIN {ADD} END""",
    f"""CREATE TRIGGER deliveries_count_update AFTER UPDATE OF state, resent ON deliveries
    WHEN NEW.newsletter_id IS NOT NULL AND ({IS_MOVED}) BEGIN {TAKE} {ADD} END""",
)

# A statement's rows are counted together. Each backend has rows of its own, so that none waits for
# another, and no two can deadlock.
FUNCTION = """
CREATE FUNCTION {schema}.{name}() RETURNS trigger LANGUAGE plpgsql AS $$
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
COUNTING_IN_POSTGRESQL = (
    FUNCTION.replace("{name}", "deliveries_count_insert").replace("{moved}", ADDED),
    FUNCTION.replace("{name}", "deliveries_count_update").replace(
        "{moved}", f"{ADDED} UNION ALL {TAKEN}"
    ),
    """CREATE TRIGGER deliveries_count_insert AFTER INSERT ON deliveries
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.deliveries_count_insert()""",
    """CREATE TRIGGER deliveries_count_update AFTER UPDATE ON deliveries
    REFERENCING OLD TABLE AS taken NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.deliveries_count_update()""",
)


def create_triggers(connection: Connection) -> None:
    """Create the triggers of new tables."""
    if connection.dialect.name == "sqlite":
        for statement in (*REFUSALS, *COUNTING_IN_SQLITE):
            connection.exec_driver_sql(statement)
        return
    schema = connection.scalar(select(func.quote_ident(func.current_schema())))
    for statement in COUNTING_IN_POSTGRESQL:
        connection.exec_driver_sql(statement.replace("{schema}", str(schema)))
