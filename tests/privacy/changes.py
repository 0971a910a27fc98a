"""What the web's role may write, by table and column, and the extremes that each takes."""

from datetime import UTC, date, datetime, time
from secrets import token_hex
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    MetaData,
    Table,
    TypeDecorator,
    delete,
    func,
    insert,
    literal_column,
    select,
    text,
)

from belong_mail.core.db import Base, now
from belong_mail.ops.grants import LATELY, WEB

# What a row needs to be taken.
USUAL = {"kind": "my-groups", "role": "nobody", "language": "en"}


class Change(NamedTuple):
    """What the web may do to a table, or to a column of it."""

    table: str
    verb: str
    column: str


# What the web may write, by table; each of these is tried by itself. It may fill every column of a
# table in which it inserts, but for the id and `UNFILLED`.
AT_DOORS = {
    "accounts": "update language name",
    "address_changes": "update confirmed_at",
    "contact_messages": "insert",
    "groups": (
        "update name summary mission activities audience note resources welcome before position"
        " established_at is_discreet allows_personal_addresses identifying_words ends_at"
        " approval_rule; insert"
    ),
    "import_batches": "insert",
    "imports": "update started_at; delete; insert",
    "jobs": "delete; insert",
    "mailbox_changes": "delete",
    "manage_sessions": "delete",
    "pending_confirmations": "delete",
    "rights": "update accepted_at ends_at",
    "sign_ins": "update used_at",
    "subscriptions": (
        "update language confirmed_at ended_at is_unreachable paused_until is_reminded"
    ),
    "waitlist_entries": "delete",
}
# Tables that close no door, whatever stands in them: one case tries all of these.
ASIDE = {
    "approvals": "update approved_by; delete; insert",
    "audit_entries": "insert",
    "browser_sessions": "delete; insert",
    "flyers": "delete; insert",
    "images": "delete; insert",
    "limits": "update used_until; insert",
    "meeting_changes": ("update is_cancelled held_on starts_at ends_at place link; delete; insert"),
    "meetings": (
        "update title starts_on starts_at ends_at repeats until exceptions place link contact"
        " is_open spoken access has_families sequence changed_at cancelled_at; insert"
    ),
    "newsletters": (
        "update subject preheader text changed_at due_at released_by paused_at is_refused is_late"
        " resumed_at stopped_at held_at; delete; insert"
    ),
    "passkeys": "update counter used_at; delete; insert",
    "questions": "delete; insert",
    "site_settings": "update value; insert",
    "thread_entries": "insert",
    "threads": "update last_at; insert",
}
UNFILLED = {("audit_entries", "at"), ("groups", "approval_rule"), ("groups", "before")}
CHANGES = [
    Change(table, verb, column)
    for table, entry in (AT_DOORS | ASIDE).items()
    for verb, *columns in map(str.split, entry.split(";"))
    for column in (WEB[table].insert.split() if verb == "insert" else columns or [""])
]
# By type: what a column takes in any row, and the least and the most that it takes. Of a new type
# somebody must say them. JSON may be anything.
VALUES: dict[type, tuple[object, object, object]] = {
    datetime: (None, datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)),
    date: (None, date(1970, 1, 1), date(9000, 1, 1)),
    time: (time(16), time(0), time(23, 59)),
    bool: (False, False, True),
    int: (1, -(2**31), 2**31 - 1),
    float: (1.0, 0.0, 9e9),
    str: (None, "", "zz" * 5_000),
    bytes: (None, b"", b"x" * 5_000),
    object: ({}, {}, ["request", "link", "confirm"]),
}
# What PostgreSQL takes for a moment, a day or a time, and Python has no value for.
UNBINDABLE = {
    datetime: ["-infinity", "infinity"],
    date: ["-infinity", "infinity"],
    time: ["00:00", "24:00"],
}


def kind_of(column: Column[Any]) -> type:
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    return kind.python_type


def extremes(column: Column[Any], dialect: str) -> list[object]:
    """Return the least and the most that a column takes."""
    kind = kind_of(column)
    if dialect == "postgresql" and kind in UNBINDABLE:
        return [literal_column(f"'{value}'") for value in UNBINDABLE[kind]]
    _, least, most = VALUES[kind]
    return [None if column.nullable else least, most]


def usual(session, column: Column[Any]) -> object:
    """Return a value that a column takes in any row, and of a reference one that is there."""
    for key in column.foreign_keys:
        least = select(func.min(key.column))
        if session.scalar(least) is None:
            make_up(session, key.column.table.name)
        return session.scalar(least)
    kind, token = kind_of(column), token_hex(11)
    own: dict[type, object] = {
        datetime: now(),
        date: now().date(),
        str: USUAL.get(column.name, token),
        bytes: token.encode(),
    }
    return None if column.nullable else own.get(kind, VALUES[kind][0])


def make_up(session, name: str, /, **given: object) -> None:
    """Insert a row as the web may; SQLite keeps to its rules here, but for those about time."""
    table, rights = Base.metadata.tables[name], WEB[name]
    columns = [table.columns[each] for each in rights.insert.split()]
    row = {each.name: usual(session, each) for each in columns} | given
    bare = Table(name, MetaData(), *(Column(each.name, each.type) for each in columns))
    session.execute(insert(bare).values(row))
    rule = dict(rights.rows).get("INSERT")
    if rule and LATELY not in rule and session.get_bind().dialect.name == "sqlite":
        session.execute(delete(table).where(text(f"rowid = last_insert_rowid() AND NOT ({rule})")))
