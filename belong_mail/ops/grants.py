"""The rights of the web's role in PostgreSQL, which each `db upgrade` grants again.

The worker's role owns the tables. The web has only the rights listed here: none on a new table, no
INSERT or UPDATE of a new column. To give it a column, add it here. A column that the web must not
fill needs a default in the database, so that no INSERT of the web names it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Rights:
    """The web's rights on a table, besides SELECT; `insert` and `update` list columns."""

    insert: str = ""
    update: str = ""
    may_delete: bool = False
    # Row policies as (command, condition): other rows are refused.
    rows: tuple[tuple[str, str], ...] = ()
    # The longest row that the web may write: a much longer one would break reading the table.
    octets: int = 1_000_000

    @property
    def ruled(self) -> list[str]:
        """The commands that need a row policy; without one, no row would be accessible."""
        given = {"INSERT": self.insert, "UPDATE": self.update, "DELETE": self.may_delete}
        is_written = self.insert or self.update
        return ["SELECT", *filter(given.get, given)] if is_written else []


READS = Rights()
# The web may write only a recent time as an end: the worker deletes what ended long ago, or years
# ahead. now() is the transaction's start: perhaps long ago.
LATELY = "BETWEEN clock_timestamp() - interval '1 day' AND clock_timestamp() + interval '1 day'"


# Rights by table; the web cannot read other tables.
WEB = {
    "accounts": Rights(update="language name"),
    "address_changes": Rights(update="confirmed_at"),
    "alembic_version": READS,
    "approvals": Rights(
        "newsletter_id asked_by asked_at due_at undo_minutes digest approved_by",
        update="approved_by",
        may_delete=True,
    ),
    "audit_entries": Rights(
        "kind role actor browser_session group_slug newsletter account detail",
        rows=(("INSERT", "role IN ('account', 'nobody')"),),
    ),
    "browser_sessions": Rights(
        "public_id account_id token_hash started_at proven_at",
        may_delete=True,
    ),
    "chunks": READS,
    "thread_entries": Rights("thread_id is_office sealed written_at"),
    "contact_messages": Rights("reference group_id sealed received_at"),
    "threads": Rights(
        "reference receipt_key topic last_at",
        update="last_at",
        rows=tuple((command, f"last_at {LATELY}") for command in ("INSERT", "UPDATE")),
    ),
    "deliveries": READS,
    "flyers": Rights(
        "public_id newsletter_id title content size pages is_tagged",
        may_delete=True,
        octets=8_000_000,
    ),
    # Only the worker records names, announces an end, and deletes memberships.
    "groups": Rights(
        "public_id slug name summary mission activities audience note resources welcome"
        " wrapped_mailbox members_shown position created_at established_at is_discreet"
        " allows_personal_addresses identifying_words known_names ends_at announced_end"
        " announced_at emptied_at retired_at",
        update="name summary mission activities audience note resources welcome before position"
        " established_at is_discreet allows_personal_addresses identifying_words ends_at"
        " approval_rule",
        rows=(
            (
                "INSERT",
                (
                    "wrapped_mailbox IS NULL AND members_shown IS NULL AND announced_end IS NULL"
                    " AND announced_at IS NULL AND emptied_at IS NULL AND retired_at IS NULL"
                ),
            ),
        ),
    ),
    "hosts": READS,
    "identities": READS,
    "images": Rights(
        "public_id newsletter_id description media_type content width height",
        may_delete=True,
        octets=8_000_000,
    ),
    # For the office's page and /metrics.
    "inbound_mailboxes": READS,
    "import_batches": Rights("import_id size sealed failures"),
    "imports": Rights(
        "public_id group_id language created_at started_at report",
        update="started_at",
        may_delete=True,
    ),
    "waitlist_entries": Rights(may_delete=True),
    "issue_counts": READS,
    "rights": Rights(update="accepted_at ends_at"),
    "limits": Rights("key used_until", update="used_until"),
    "mailbox_changes": Rights(may_delete=True),
    "meeting_changes": Rights(
        "meeting_id day is_cancelled held_on starts_at ends_at place link",
        update="is_cancelled held_on starts_at ends_at place link",
        may_delete=True,
    ),
    "meetings": Rights(
        "public_id group_id title starts_on starts_at ends_at repeats until exceptions place link"
        " contact is_open spoken access has_families sequence changed_at cancelled_at",
        update="title starts_on starts_at ends_at repeats until exceptions place link contact"
        " is_open spoken access has_families sequence changed_at cancelled_at",
    ),
    "newsletters": Rights(
        "public_id group_id subject preheader text is_template changed_at"
        " due_at released_by queued_at paused_at is_refused is_late resumed_at stopped_at held_at"
        " counted_at ended_at",
        update="subject preheader text changed_at due_at released_by paused_at"
        " is_refused is_late resumed_at stopped_at held_at",
        may_delete=True,
        rows=(
            (
                "INSERT",
                "queued_at IS NULL AND ended_at IS NULL AND counted_at IS NULL",
            ),
            ("DELETE", "queued_at IS NULL"),
        ),
    ),
    "figures": READS,
    "operator_releases": READS,
    # Public keys. The web may write them, as it can start sessions anyway.
    "passkeys": Rights(
        "public_id account_id credential_id public_key counter name created_at used_at",
        update="counter used_at",
        may_delete=True,
    ),
    "questions": Rights(
        "group_id position kind label options", may_delete=True
    ),
    "jobs": Rights(
        "kind group_id subscription_id sealed created_at due_at failures", may_delete=True
    ),
    "sent_per_minutes": READS,
    # Only the worker records what the office was notified of.
    "site_settings": Rights(
        "name value announced",
        update="value",
        rows=(("INSERT", "announced IS NULL"),),
    ),
    # The worker alone adds a row, before it sends the link.
    "manage_sessions": Rights(may_delete=True),
    "sign_ins": Rights(update="used_at"),
    "subscriptions": Rights(
        update="language confirmed_at ended_at is_unreachable paused_until is_reminded",
        rows=(
            (
                "UPDATE",
                f"confirmed_at IS NOT NULL AND (ended_at IS NULL OR ended_at {LATELY})",
            ),
        ),
    ),
    "pending_confirmations": Rights(may_delete=True),
}  # fmt: skip


ATTRIBUTES = ("rolsuper", "rolcreaterole", "rolcreatedb", "rolbypassrls", "rolreplication")
POLICY = "belong_web_"
# Tables whose primary key has no sequence.
WITHOUT_NUMBER = {"limits", "approvals", "site_settings"}


# Queries for a role's rights, its own or PUBLIC's, and for active policies.
ACTUAL = (
    """SELECT what || ' ' || c.relname || '.' || a.attname
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid,
    unnest(ARRAY['INSERT', 'UPDATE', 'REFERENCES']) what
    WHERE relnamespace::regnamespace::text = current_schema() AND c.relkind IN ('r', 'p', 'v')
    AND a.attnum > 0 AND NOT a.attisdropped
    AND has_column_privilege(:role, c.oid, a.attnum, what)""",
    """SELECT what || ' ' || relname
    FROM pg_class c, unnest(ARRAY['SELECT', 'DELETE', 'TRUNCATE', 'TRIGGER']) what
    WHERE relnamespace::regnamespace::text = current_schema() AND relkind IN ('r', 'p', 'v')
    AND CASE what WHEN 'SELECT' THEN has_any_column_privilege(:role, c.oid, what)
    ELSE has_table_privilege(:role, c.oid, what) END""",
    """SELECT what || ' ' || relname
    FROM pg_class c, unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) what
    WHERE relnamespace::regnamespace::text = current_schema() AND relkind = 'S'
    AND has_sequence_privilege(:role, c.oid, what)""",
    """SELECT what || ' in the database'
    FROM unnest(ARRAY['CREATE', 'TEMPORARY']) what
    WHERE has_database_privilege(:role, current_database(), what)
    UNION ALL SELECT 'CREATE in the schema'
    WHERE has_schema_privilege(:role, current_schema(), 'CREATE')""",
    """SELECT 'POLICY ' || relname || ' ' || polname
    FROM pg_policy JOIN pg_class c ON c.oid = polrelid
    WHERE relnamespace::regnamespace::text = current_schema() AND relrowsecurity AND :role <> ''""",
)


class InvalidRole(Exception):
    """The role cannot be the web's; the error says why, and what to do."""


def apply_grants(connection: Connection, role: str) -> None:
    """Grant the web's role exactly the rights in WEB; do nothing on SQLite or without a role.

    Only the tables' owner can. Raises InvalidRole.
    """
    if not role or connection.dialect.name == "sqlite":
        return
    if problems := list(_unfitness(connection, role)):
        raise InvalidRole(" ".join(problems))
    quote = connection.dialect.identifier_preparer.quote
    here = connection.execute(text("SELECT current_schema(), current_database()")).one()
    for statement in _statements(quote(role), *map(quote, here)):
        connection.exec_driver_sql(statement)


def grant_faults(connection: Connection, role: str) -> list[str]:
    """List how the role's rights differ from WEB."""
    if problems := list(_unfitness(connection, role)):
        return problems
    queries = (text(query).bindparams(role=role) for query in ACTUAL)
    actual = {right for query in queries for right in connection.scalars(query)}
    expected = set(_expected())
    return [
        f"The web's role {word} {len(rights)} rights {verb}, such as: {min(rights)}."
        f" Run `db upgrade` as the owner of the tables."
        for word, verb, rights in (
            ("has", "that it must not have", actual - expected),
            ("lacks", "that it needs", expected - actual),
        )
        if rights
    ]


def _statements(role: str, schema: str, database: str) -> Iterator[str]:
    """Yield the SQL that revokes all rights and grants those in WEB."""
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC, {role}"
    yield f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM PUBLIC, {role}"
    yield f"REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC, {role}"
    yield f"REVOKE CREATE, TEMPORARY ON DATABASE {database} FROM PUBLIC, {role}"
    yield f"GRANT USAGE ON SCHEMA {schema} TO {role}"
    yield f"GRANT CONNECT ON DATABASE {database} TO {role}"
    for table, rights in WEB.items():
        given = ["SELECT", *(["DELETE"] if rights.may_delete else [])]
        for command, names in (("INSERT", rights.insert), ("UPDATE", rights.update)):
            if names:
                given.append(f"{command} ({', '.join(names.split())})")
        yield f"GRANT {', '.join(given)} ON {schema}.{table} TO {role}"
        if rights.insert and table not in WITHOUT_NUMBER:
            yield f"GRANT USAGE ON SEQUENCE {schema}.{table}_id_seq TO {role}"
        yield from _policies(f"{schema}.{table}", rights)


def _policies(table: str, rights: Rights) -> Iterator[str]:
    """Yield the SQL of a table's row policies.

    Names no role, so that a backup can be restored where the role does not exist.
    """
    for command in ("SELECT", "INSERT", "UPDATE", "DELETE"):
        yield f"DROP POLICY IF EXISTS {POLICY}{command.lower()} ON {table}"
    conditions = dict(rights.rows)
    # `octet_length` of a column would be its compressed size. As text each byte has two characters.
    fits = f"octet_length({table.rpartition('.')[2]}.*::text) <= {2 * rights.octets}"
    clauses = {
        "SELECT": "USING (true)",
        "INSERT": f"WITH CHECK ({conditions.get('INSERT', 'true')} AND {fits})",
        "UPDATE": f"USING (true) WITH CHECK ({conditions.get('UPDATE', 'true')} AND {fits})",
        "DELETE": f"USING ({conditions.get('DELETE', 'true')})",
    }
    for command in rights.ruled:
        name = f"{POLICY}{command.lower()}"
        yield f"CREATE POLICY {name} ON {table} FOR {command} {clauses[command]}"
    yield f"ALTER TABLE {table} {'ENABLE' if rights.ruled else 'DISABLE'} ROW LEVEL SECURITY"


def _expected() -> Iterator[str]:
    """Yield the rights and policies of WEB, as `ACTUAL` names them."""
    for table, rights in WEB.items():
        yield f"SELECT {table}"
        if rights.may_delete:
            yield f"DELETE {table}"
        for command, names in (("INSERT", rights.insert), ("UPDATE", rights.update)):
            yield from (f"{command} {table}.{column}" for column in names.split())
        if rights.insert and table not in WITHOUT_NUMBER:
            yield f"USAGE {table}_id_seq"
        yield from (f"POLICY {table} {POLICY}{each.lower()}" for each in rights.ruled)


def _unfitness(connection: Connection, role: str) -> Iterator[str]:
    """Yield why a role cannot be the web's."""
    found = text(f"SELECT {', '.join(ATTRIBUTES)} FROM pg_roles WHERE rolname = :role")  # noqa: S608 - our own names
    attributes = connection.execute(found.bindparams(role=role)).one_or_none()
    if attributes is None:
        yield f"BELONG_WEB_DATABASE_ROLE: PostgreSQL has no role {role}. Create it first."
        return
    if any(attributes):
        yield f"BELONG_WEB_DATABASE_ROLE: {role} is a superuser, or has a superuser's rights."
    is_owner = text("SELECT pg_has_role(:role, current_user, 'MEMBER')")
    if connection.scalar(is_owner.bindparams(role=role)):
        yield f"BELONG_WEB_DATABASE_ROLE: {role} owns the tables, or can act as their owner."
