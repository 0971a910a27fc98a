"""Create every table of version 1.0, room by room, and the triggers."""

import sqlalchemy as sa
from alembic import op

revision = "1.0"
down_revision = None

TIME = sa.DateTime(timezone=True)
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ONE_RECIPIENT = (
    "CASE WHEN subscription_id IS NULL THEN 0 ELSE 1 END"
    " + CASE WHEN account_id IS NULL THEN 0 ELSE 1 END"
    " + CASE WHEN sealed_to IS NULL THEN 0 ELSE 1 END = 1"
    " OR finished_at IS NOT NULL"
)
INACTIVE = "confirmed_at IS NULL OR ended_at IS NOT NULL OR is_suppressed = 1"


def upgrade() -> None:
    _create_groups()
    _create_accounts()
    _create_contact()
    _create_meetings()
    _create_members()
    _create_leads()
    _create_newsletters()
    _create_core()
    _create_delivery()
    _create_operations()
    _create_triggers()


def _create_groups() -> None:
    op.create_table(
        "groups",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("public_id", sa.String(), unique=True, nullable=False),
        sa.Column("slug", sa.String(), unique=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.Column("mission", sa.JSON(), nullable=False),
        sa.Column("activities", sa.JSON(), nullable=False),
        sa.Column("audience", sa.JSON(), nullable=False),
        sa.Column("note", sa.JSON(), nullable=False),
        sa.Column("resources", sa.JSON(), nullable=False),
        sa.Column("welcome", sa.JSON(), nullable=False),
        sa.Column("before", sa.JSON()),
        sa.Column("wrapped_mailbox", sa.LargeBinary()),
        sa.Column("members_shown", sa.Integer()),
        sa.Column("approval_rule", sa.String(), nullable=False, server_default="auto"),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("established_at", TIME),
        sa.Column("is_discreet", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column(
            "allows_personal_addresses", sa.Boolean(), nullable=False, server_default=sa.false()
        ),
        sa.Column("identifying_words", sa.JSON(), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("known_names", sa.JSON(), nullable=False, server_default=sa.text("'[]'")),
        sa.Column("ends_at", TIME),
        sa.Column("announced_end", TIME),
        sa.Column("announced_at", TIME),
        sa.Column("emptied_at", TIME),
        sa.Column("retired_at", TIME),
    )
    op.create_table(
        "questions",
        sa.Column("id", BIG_ID, primary_key=True),
        _row_of("group_id", "groups", index=True, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("label", sa.JSON(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
    )


def _create_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("public_id", sa.String(), unique=True, nullable=False),
        sa.Column("address_index", sa.LargeBinary(), unique=True, nullable=False),
        sa.Column("wrapped_address", sa.LargeBinary(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False, server_default=""),
        sa.Column("invited_as", sa.String(), unique=True),
    )
    op.create_table(
        "sign_ins",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("public_id", sa.String(), unique=True, nullable=False),
        _row_of("account_id", "accounts", index=True, nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("used_at", TIME),
    )
    op.create_table(
        "browser_sessions",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("public_id", sa.String(), unique=True, nullable=False),
        _row_of("account_id", "accounts", index=True, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), unique=True, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("proven_at", TIME),
    )
    op.create_table(
        "rights",
        sa.Column("id", BIG_ID, primary_key=True),
        _row_of("account_id", "accounts", nullable=False),
        _row_of("group_id", "groups", index=True),
        sa.Column("since", TIME, nullable=False),
        sa.Column("accepted_at", TIME),
        sa.Column("ends_at", TIME),
        sa.Column("reminded_at", TIME),
        sa.Column("wrapped_proof", sa.LargeBinary()),
        sa.UniqueConstraint("account_id", "group_id"),
    )
    _index_some("ix_rights_of_office", "rights", ["account_id"], "group_id IS NULL", unique=True)
    op.create_table(
        "identities",
        sa.Column("id", BIG_ID, primary_key=True),
        _row_of("account_id", "accounts", unique=True, nullable=False),
        sa.Column("name", sa.LargeBinary(), unique=True, nullable=False),
        sa.Column("wrapped_subject", sa.LargeBinary(), nullable=False),
        sa.Column("linked_at", TIME, nullable=False),
    )
    op.create_table(
        "passkeys",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("public_id", sa.String(), unique=True, nullable=False),
        _row_of("account_id", "accounts", index=True, nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), unique=True, nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("used_at", TIME),
    )


def _create_contact() -> None:
    op.create_table(
        "threads",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("reference", sa.String(), unique=True, nullable=False),
        sa.Column("receipt_key", sa.LargeBinary(), unique=True, nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("last_at", TIME, nullable=False),
    )
    op.create_table(
        "contact_messages",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("reference", sa.String(), unique=True, nullable=False),
        _row_of("group_id", "groups", "SET NULL"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        _row_of("thread_id", "threads", "SET NULL"),
    )
    op.create_table(
        "thread_entries",
        sa.Column("id", BIG_ID, primary_key=True),
        _row_of("thread_id", "threads", index=True, nullable=False),
        sa.Column("is_office", sa.Boolean(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("written_at", TIME, nullable=False),
    )


def _create_meetings() -> None:
    op.create_table(
        "meetings",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("public_id", sa.String(), unique=True, nullable=False),
        _row_of("group_id", "groups", index=True, nullable=False),
        sa.Column("title", sa.JSON(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("starts_at", sa.Time(), nullable=False),
        sa.Column("ends_at", sa.Time(), nullable=False),
        sa.Column("repeats", sa.String(), nullable=False),
        sa.Column("until", sa.Date()),
        sa.Column("exceptions", sa.JSON(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("link", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("spoken", sa.String(), nullable=False),
        sa.Column("access", sa.JSON(), nullable=False),
        sa.Column("has_families", sa.Boolean(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("cancelled_at", TIME),
    )
    op.create_table(
        "meeting_changes",
        sa.Column("id", BIG_ID, primary_key=True),
        _row_of("meeting_id", "meetings", nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("is_cancelled", sa.Boolean(), nullable=False),
        sa.Column("held_on", sa.Date(), nullable=False),
        sa.Column("starts_at", sa.Time(), nullable=False),
        sa.Column("ends_at", sa.Time(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("link", sa.String(), nullable=False),
        sa.UniqueConstraint("meeting_id", "day"),
    )
    op.create_table(
        "reminders",
        sa.Column("id", BIG_ID, primary_key=True),
        _row_of("meeting_id", "meetings", nullable=False),
        sa.Column("held_on", sa.Date(), nullable=False),
        sa.UniqueConstraint("meeting_id", "held_on"),
    )


def _create_members() -> None:
    op.create_table(
        "imports",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("public_id", sa.String(), unique=True, nullable=False),
        _row_of("group_id", "groups", index=True, nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("report", sa.JSON(), nullable=False),
    )
    op.create_table(
        "import_batches",
        sa.Column("id", BIG_ID, primary_key=True),
        _row_of("import_id", "imports", index=True, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
    )
    op.create_table(
        "inbound_mailboxes",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("name", sa.LargeBinary(), unique=True, nullable=False),
        sa.Column("uid_validity", BIG_ID, nullable=False),
        sa.Column("handled_uid", BIG_ID, nullable=False),
        sa.Column("broken_uid", BIG_ID, nullable=False),
        sa.Column("breaks", sa.Integer(), nullable=False),
        sa.Column("first_tried_at", TIME, nullable=False),
        sa.Column("tried_at", TIME, nullable=False),
        sa.Column("looked_at", TIME),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_step", sa.String(), nullable=False),
        sa.Column("leased_by", sa.String(), nullable=False),
        sa.Column("leased_until", TIME),
    )
    op.create_table(
        "inbound_digests",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("digest", sa.LargeBinary(), unique=True, nullable=False),
        sa.Column("seen_at", TIME, index=True, nullable=False),
    )
    op.create_table(
        "subscriptions",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("public_id", sa.String(), unique=True, nullable=False),
        sa.Column("group_id", BIG_ID, sa.ForeignKey("groups.id"), nullable=False),
        sa.Column("address_index", sa.LargeBinary(), nullable=False),
        sa.Column("counted_index", sa.LargeBinary()),
        sa.Column("wrapped_address", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_name", sa.LargeBinary()),
        sa.Column("wrapped_introduction", sa.LargeBinary()),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("requested_at", TIME, nullable=False),
        sa.Column("confirmed_at", TIME),
        sa.Column("ended_at", TIME),
        sa.Column("is_unreachable", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("paused_until", TIME),
        sa.Column("is_reminded", sa.Boolean(), nullable=False),
        sa.Column("is_suppressed", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("group_id", "address_index"),
    )
    op.create_index("ix_subscriptions_group_id_id", "subscriptions", ["group_id", "id"])
    _index_some("ix_subscriptions_inactive", "subscriptions", ["id"], INACTIVE)
    _index_some(
        "ix_subscriptions_introduced", "subscriptions", ["id"], "wrapped_introduction IS NOT NULL"
    )
    op.create_table(
        "erasures",
        sa.Column("address_index", sa.LargeBinary(), primary_key=True),
        sa.Column("public_id", sa.String(), unique=True, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "pending_confirmations",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("confirm_id", sa.String(), unique=True, nullable=False),
        _row_of("subscription_id", "subscriptions", index=True, nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("wrapped_name", sa.LargeBinary()),
        sa.Column("wrapped_introduction", sa.LargeBinary()),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("is_invited", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("is_reminded", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "waitlist_entries",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("public_id", sa.String(), unique=True, nullable=False),
        _row_of("group_id", "groups", nullable=False),
        sa.Column("address_index", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_address", sa.LargeBinary(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("kept_until", sa.Date(), nullable=False),
        sa.UniqueConstraint("group_id", "address_index"),
    )
    op.create_table(
        "manage_sessions",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("secret_hash", sa.LargeBinary(), unique=True, nullable=False),
        sa.Column("locked", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
    )
    op.create_table(
        "address_changes",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("public_id", sa.String(), unique=True, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("confirmed_at", TIME),
    )
    op.create_table(
        "barred_addresses",
        _row_of("group_id", "groups", primary_key=True),
        sa.Column("address_index", sa.LargeBinary(), primary_key=True),
    )


def _create_leads() -> None:
    op.create_table(
        "mailbox_changes",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("public_id", sa.String(), unique=True, nullable=False),
        _row_of("group_id", "groups", unique=True, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )


def _create_newsletters() -> None:
    op.create_table(
        "newsletters",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("public_id", sa.String(), unique=True, nullable=False),
        sa.Column("group_id", BIG_ID, sa.ForeignKey("groups.id"), index=True, nullable=False),
        sa.Column("subject", sa.JSON(), nullable=False),
        sa.Column("preheader", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("text", sa.JSON(), nullable=False),
        sa.Column("counted_at", TIME),
        sa.Column("is_template", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("due_at", TIME, index=True),
        _row_of("released_by", "accounts", "SET NULL", index=True),
        sa.Column("queued_at", TIME),
        sa.Column("ended_at", TIME),
        sa.Column("paused_at", TIME),
        sa.Column("is_refused", sa.Boolean(), nullable=False),
        sa.Column("is_late", sa.Boolean(), nullable=False),
        sa.Column("resumed_at", TIME),
        sa.Column("stopped_at", TIME),
        sa.Column("held_at", TIME),
    )
    op.create_table(
        "images",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("public_id", sa.String(), unique=True, nullable=False),
        _row_of("newsletter_id", "newsletters", index=True, nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
    )
    op.create_table(
        "flyers",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("public_id", sa.String(), unique=True, nullable=False),
        _row_of("newsletter_id", "newsletters", index=True, nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("is_tagged", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "rendered_issues",
        sa.Column("newsletter_id", BIG_ID, primary_key=True),
        sa.Column("language", sa.String(), primary_key=True),
        sa.Column("wire", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "approvals",
        _row_of("newsletter_id", "newsletters", primary_key=True),
        _row_of("asked_by", "accounts", index=True, nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("due_at", TIME),
        sa.Column("undo_minutes", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        _row_of("approved_by", "accounts", index=True),
    )
    op.create_table(
        "operator_releases",
        _row_of("newsletter_id", "newsletters", primary_key=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
    )


def _create_core() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column(
            "at", TIME, index=True, nullable=False, server_default=sa.func.current_timestamp()
        ),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("actor", sa.String()),
        sa.Column("browser_session", sa.String()),
        sa.Column("group_slug", sa.String()),
        sa.Column("newsletter", sa.String(), index=True),
        sa.Column("account", sa.String()),
        sa.Column("detail", sa.String()),
        sa.CheckConstraint("role IN ('account', 'operator', 'worker', 'nobody')", name="role"),
    )
    op.create_index("ix_audit_entries_group_slug_id", "audit_entries", ["group_slug", "id"])
    op.create_table(
        "jobs",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("group_id", BIG_ID, sa.ForeignKey("groups.id")),
        _row_of("subscription_id", "subscriptions"),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("created_at", TIME, index=True, nullable=False),
        sa.Column("due_at", TIME, index=True, nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
    )
    _index_some(
        "ix_jobs_subscription_id",
        "jobs",
        ["subscription_id"],
        "subscription_id IS NOT NULL",
    )
    op.create_table(
        "limits",
        sa.Column("key", sa.LargeBinary(), primary_key=True),
        sa.Column("used_until", sa.Double(), nullable=False),
    )
    op.create_table(
        "worker_limits",
        sa.Column("key", sa.LargeBinary(), primary_key=True),
        sa.Column("used_until", sa.Double(), nullable=False),
    )
    op.create_table(
        "site_settings",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("value", sa.String()),
        sa.Column("announced", sa.String()),
    )


def _create_delivery() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("newsletter_id", BIG_ID),
        _row_of("subscription_id", "subscriptions", "SET NULL", index=True),
        _row_of("account_id", "accounts", "SET NULL"),
        sa.Column("sealed_to", sa.LargeBinary()),
        sa.Column("about_id", BIG_ID),
        sa.Column("sealed_arguments", sa.LargeBinary()),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("due_at", TIME),
        sa.Column("finished_at", TIME),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("lost_at", TIME),
        sa.Column("resent", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.String()),
        sa.Column("is_dot_sent", sa.Boolean(), nullable=False),
        sa.Column("code", sa.Integer()),
        sa.Column("enhanced", sa.String()),
        sa.Column("phrase", sa.String()),
        sa.UniqueConstraint("newsletter_id", "subscription_id"),
        sa.CheckConstraint(ONE_RECIPIENT, name="one_recipient"),
        # PostgreSQL writes a row anew when it changes: with room beside it no index hears of it.
        postgresql_with={"fillfactor": 50},
    )
    _index_some("ix_deliveries_about_id", "deliveries", ["about_id"], "about_id IS NOT NULL")
    _index_some(
        "ix_deliveries_due", "deliveries", ["newsletter_id", "due_at", "id"], "due_at IS NOT NULL"
    )
    _index_some(
        "ix_deliveries_due_again",
        "deliveries",
        ["due_at", "id"],
        "newsletter_id IS NOT NULL AND due_at IS NOT NULL",
    )
    _index_some(
        "ix_deliveries_single",
        "deliveries",
        ["newsletter_id", "created_at"],
        "newsletter_id IS NULL",
    )
    _index_some("ix_deliveries_told", "deliveries", ["created_at"], "sealed_arguments IS NOT NULL")
    op.create_table(
        "chunks",
        sa.Column("id", BIG_ID, primary_key=True),
        _row_of("newsletter_id", "newsletters", index=True, nullable=False),
        sa.Column("low", BIG_ID, nullable=False),
        sa.Column("high", BIG_ID, nullable=False),
        sa.Column("planned", sa.Integer(), nullable=False),
        sa.Column("inserted", sa.Integer()),
        sa.Column("is_halted", sa.Boolean(), nullable=False),
    )
    _index_some("ix_chunks_halted", "chunks", ["newsletter_id"], "is_halted")
    _index_some("ix_chunks_waiting", "chunks", ["id"], "inserted IS NULL")
    op.create_table(
        "issue_counts",
        sa.Column("newsletter_id", BIG_ID, primary_key=True),
        sa.Column("state", sa.String(), primary_key=True),
        sa.Column("backend", sa.Integer(), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("resent", sa.Integer(), nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("owner", sa.String(), primary_key=True),
        sa.Column("until", TIME, nullable=False),
        sa.Column("held", sa.String()),
        sa.Column("turn", sa.Integer(), nullable=False, server_default="0"),
    )
    op.create_table(
        "sent_per_minutes",
        sa.Column("owner", sa.String(), primary_key=True),
        sa.Column("minute", TIME, primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("stale", sa.Integer(), nullable=False),
    )
    op.create_table(
        "suppressions",
        sa.Column("address_index", sa.LargeBinary(), primary_key=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
    )


def _create_operations() -> None:
    op.create_table(
        "figures",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("noted_at", TIME, nullable=False),
    )
    op.create_table(
        "hosts",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("folder", sa.String(), unique=True, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("held_because", sa.String()),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("worked_at", TIME),
        sa.Column("retry_asked_at", TIME),
        sa.Column("timeline", sa.String(), nullable=False, server_default=""),
    )


def _row_of(name: str, table: str, deleted: str = "CASCADE", **options: bool) -> sa.Column[int]:
    """Refer to a row of a table; when that is deleted, the one here is, or this is emptied."""
    return sa.Column(name, BIG_ID, sa.ForeignKey(f"{table}.id", ondelete=deleted), **options)


def _index_some(
    name: str, table: str, columns: list[str], where: str, *, unique: bool = False
) -> None:
    """Index the rows that a condition names; `= 1` of a boolean is SQLite's alone."""
    op.create_index(
        name,
        table,
        columns,
        unique=unique,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where.removesuffix(" = 1")),
    )


# SQLite knows no roles: there the audit trail itself refuses. A row that replaces another is no way
# round, for SQLite would delete the old one without asking a trigger.
REFUSALS = (
    """CREATE TRIGGER audit_entries_refuse_update BEFORE UPDATE ON audit_entries
    BEGIN SELECT RAISE(ABORT, 'the audit trail is not changed'); END""",
    """CREATE TRIGGER audit_entries_refuse_delete BEFORE DELETE ON audit_entries
    WHEN OLD.at > datetime('now', '-730 days')
    BEGIN SELECT RAISE(ABORT, 'the audit trail is kept for two years'); END""",
    """CREATE TRIGGER audit_entries_refuse_replace BEFORE INSERT ON audit_entries
    WHEN EXISTS (SELECT 1 FROM audit_entries WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'the audit trail is not changed'); END""",
)

# Each change of an issue's copies is counted by the database itself: no place that changes a state
# can forget it.
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

# A statement's rows are counted together. Each backend has rows of its own: none waits for another,
# so there is no order in which two could lock each other out.
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


def _create_triggers() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        for statement in (*REFUSALS, *COUNTING_IN_SQLITE):
            op.execute(statement)
        return
    schema = connection.scalar(sa.text("SELECT quote_ident(current_schema())"))
    for statement in COUNTING_IN_POSTGRESQL:
        connection.exec_driver_sql(statement.replace("{schema}", schema))
