"""Check that the worker's keys open what is in the database; a worker whose keys do not waits.

It would fail all mail, wrap new rows under the wrong key, and take every address for a new one.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Inspector, func, inspect, select, update
from sqlalchemy.orm import Session, load_only, selectinload

from belong_mail.contact.models import ContactMessage
from belong_mail.contact.service import MESSAGE_COLUMN
from belong_mail.core.db import now
from belong_mail.core.decryption import DecryptionError, Keyring, Opener
from belong_mail.core.encryption import SEALED, WRAPPED
from belong_mail.core.jobs import Job
from belong_mail.delivery.work import LARGE_WRAPPED_ROWS, Column
from belong_mail.groups.models import Group
from belong_mail.members.models import Subscription
from belong_mail.members.wrapped_fields import open_address
from belong_mail.ops.key_rotation import head
from belong_mail.ops.rooms import WRAPPED_COLUMNS

# Rows of a kind, the first and the last, that are opened.
SAMPLED_ROWS = 20
# Rows: fewer that cannot be opened are those rows' own fault.
MIN_FAILED_ROWS = 3
INDEX_FAULT = "BELONG_INDEX_KEYS is not the key that the members here were indexed with."


def key_faults(session: Session, keyring: Keyring) -> list[str]:
    """Say which kinds of rows the keys do not open; nothing when the keys are right.

    A key that is not here shows in many rows, or in all that there are; one bad row says nothing.
    """
    tried, database = {}, inspect(session.connection())
    for column, place, row, batch in WRAPPED_COLUMNS:
        if not _is_there(database, column):
            continue
        name = f"{column.class_.__tablename__}.{column.key}"
        most = SAMPLED_ROWS if batch > LARGE_WRAPPED_ROWS else 1
        rows = _ends(session, column, row, most)
        tried[name] = [_opens(keyring, *each, place) for each in rows]
    is_any_open = any(True in opened for opened in tried.values())
    found = [
        f"The private keys here do not open {closed} of {len(opened)} {name} that were tried."
        for name, opened in tried.items()
        if (closed := len(opened) - opened.count(True)) >= MIN_FAILED_ROWS
        or (opened.count(None) and not is_any_open)
    ]
    return found or list(_index_fault(session, keyring))


def check_unknown_keys(session: Session, keyring: Keyring) -> list[str]:
    """Judge each name of a key that was met and is not here, by how many rows bear it.

    A name that few rows bear is dismissed: those rows are bad. Any other stays, and is a fault.
    """
    opener, found = keyring.opener, []
    for name in list(opener.unknown):
        number = max(_bearing(session, column, name) for column, *_ in WRAPPED_COLUMNS)
        if number < MIN_FAILED_ROWS:
            opener.dismiss(name)
        else:
            found.append("Many rows need a private key that is not here.")
    return found


def retry_unreadable_jobs(session: Session, opener: Opener) -> None:
    """Give requests that could not be read another try, where their key is here by now."""
    here = [SEALED + name for name in opener.names]
    failed = update(Job).where(Job.failures > 0, Job.due_at <= now())
    failed = failed.where(head(Job.sealed).in_(here))
    session.execute(failed.values(failures=0), execution_options={"synchronize_session": False})


def unread_messages(session: Session, keyring: Keyring) -> list[str]:
    """Say whether the last messages to the office cannot be opened."""
    last = select(ContactMessage.sealed).order_by(ContactMessage.id.desc()).limit(MIN_FAILED_ROWS)
    sealed = list(session.scalars(last))
    closed = 0
    for each in sealed:
        try:
            keyring.opener.open(each, MESSAGE_COLUMN)
        except DecryptionError:
            closed += 1
    if not sealed or closed < len(sealed):
        return []
    return [f"The private keys here do not open the last {closed} contact_messages.sealed."]


def _ends(session: Session, column: Column, row: Any, most: int) -> list[tuple[bytes, str]]:
    """Return the first and the last rows of a kind, each once: wrapped value, and its name.

    They are found by their key, so that no table is read whole.
    """
    key = next(iter(column.class_.__table__.primary_key.columns))
    found: set[tuple[bytes | None, str]] = set()
    for order in (key, key.desc()):
        rows = session.execute(select(column, row).order_by(order).limit(most))
        found.update((made, name) for made, name in rows)
    return [(made, name) for made, name in found if made and made[:1] == WRAPPED]


def _is_there(database: Inspector, column: Column) -> bool:
    """Tell whether a database has a column; one of an older step may not."""
    table = column.class_.__tablename__
    return database.has_table(table) and column.key in {
        each["name"] for each in database.get_columns(table)
    }


def _opens(keyring: Keyring, wrapped: bytes, row: str, place: str) -> bool | None:
    """Tell whether a row opens; None: its key is not here."""
    if not keyring.opener.has(wrapped):
        return None
    try:
        keyring.opener.unwrap(wrapped, place, row)
    except DecryptionError:
        return False
    return True


def _bearing(session: Session, column: Column, name: bytes) -> int:
    some = select(column).where(head(column) == WRAPPED + name).limit(MIN_FAILED_ROWS).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def _index_fault(session: Session, keyring: Keyring) -> Iterator[str]:
    """Say that the index key is another's: no member who can be opened bears its name."""
    needed = ("public_id", "group_id", "wrapped_address", "address_index")
    of_member = load_only(*(getattr(Subscription, name) for name in needed))
    of_group = selectinload(Subscription.group).load_only(Group.public_id)
    found = select(Subscription).order_by(Subscription.id.desc()).limit(SAMPLED_ROWS)
    fits = []
    for each in session.scalars(found.options(of_member, of_group)):
        try:
            _, is_indexed = open_address(keyring, each)
        except DecryptionError:
            continue
        fits.append(is_indexed)
    if len(fits) >= MIN_FAILED_ROWS and not any(fits):
        yield INDEX_FAULT
