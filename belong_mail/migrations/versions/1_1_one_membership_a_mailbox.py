"""Index memberships by their mailbox: the address without its plus tag.

Of several memberships of a mailbox in a group one stays: a member's, else the one without a tag,
else the oldest. It keeps its address and name. The others are deleted: their links open nothing,
and what they still waited for is withdrawn.

Requests to be notified lose their index, which only the worker can compute; it does so within
minutes, and each is notified all the same.

Addresses that get no email are no longer counted for the office's page. A message says under its
seal which thread it belongs to.
"""

from alembic import op

revision = "1.1"
down_revision = "1.0"

GONE = """SELECT id FROM (
    SELECT id, row_number() OVER (
        PARTITION BY group_id, coalesce(counted_index, address_index)
        ORDER BY confirmed_at IS NULL OR ended_at IS NOT NULL OR is_suppressed,
            counted_index IS NOT NULL, id
    ) AS place FROM subscriptions
) AS ranked WHERE place > 1"""
# SQLite's foreign keys are off during an upgrade.
STATEMENTS = (
    f"""UPDATE deliveries SET subscription_id = NULL, about_id = NULL, due_at = NULL,
    finished_at = coalesce(finished_at, created_at),
    state = CASE state WHEN 'queued' THEN 'withdrawn' WHEN 'deferred' THEN 'withdrawn'
        WHEN 'sending' THEN 'uncertain' ELSE state END
    WHERE subscription_id IN ({GONE}) OR kind = 'introduce-member' AND about_id IN ({GONE})""",
    f"DELETE FROM jobs WHERE subscription_id IN ({GONE})",
    f"DELETE FROM pending_confirmations WHERE subscription_id IN ({GONE})",
    f"DELETE FROM subscriptions WHERE id IN ({GONE})",
    "UPDATE subscriptions SET address_index = counted_index WHERE counted_index IS NOT NULL",
    "ALTER TABLE subscriptions DROP COLUMN counted_index",
    "DELETE FROM figures WHERE name = 'counted' OR substr(name, 1, 11) = 'suppressed/'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    with op.batch_alter_table("waitlist_entries") as notes:
        notes.alter_column("address_index", nullable=True)
    op.execute("UPDATE waitlist_entries SET address_index = NULL")
    with op.batch_alter_table("contact_messages") as messages:
        messages.drop_constraint("fk_contact_messages_thread_id_threads", type_="foreignkey")
        messages.drop_column("thread_id")
