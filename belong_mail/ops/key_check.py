"""Check that the worker's keys open what is in the database; a worker whose keys do not waits.

It would fail all mail, wrap new rows under the wrong key, and take every address for a new one. A
copy of the keys is tried the same way, and must have all that is in use here.
"""

import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Inspector, func, inspect, select, update
from sqlalchemy.orm import Session, load_only, selectinload

from belong_mail.contact.models import ContactMessage
from belong_mail.contact.service import MESSAGE_COLUMN
from belong_mail.core.db import now
from belong_mail.core.decryption import BlindIndex, DecryptionError, Keyring, Opener
from belong_mail.core.encryption import KINDS, SEALED, WRAPPED, validate_keys
from belong_mail.core.jobs import Job
from belong_mail.core.services import Settings
from belong_mail.delivery.work import LARGE_WRAPPED_ROWS, Column
from belong_mail.groups.models import Group
from belong_mail.members.models import Subscription
from belong_mail.members.wrapped_fields import open_address
from belong_mail.ops.key_rotation import head
from belong_mail.ops.rooms import WRAPPED_COLUMNS

# Keys by kind, the oldest first.
Keys = dict[str, tuple[str, ...]]
# Octets: no file of keys comes near it.
MAX_OCTETS = 1 << 20
LINE = re.compile(rf"^BELONG_({'|'.join(KINDS).upper()})_KEYS=(.*)$", re.MULTILINE)
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


def read_copy(data: bytes) -> Keys:
    """Read a tar of the folder of keys, or the lines of `keys new`."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            found = {
                PurePosixPath(each.name).name: file.read(MAX_OCTETS).decode(errors="replace")
                for each in archive
                if each.isfile() and (file := archive.extractfile(each)) is not None
            }
    except tarfile.ReadError:
        lines = LINE.findall(data.decode(errors="replace"))
        found = {kind.lower(): value for kind, value in lines}
    return {kind: tuple(found.get(kind, "").strip().split(",")) for kind in KINDS}


def copy_faults(session: Session, keys: Keys, settings: Settings) -> list[str]:
    """Say why a copy is not enough to go on with this database; nothing when it is."""
    missing = [f"It has no {kind} key." for kind in KINDS if keys[kind] == ("",)]
    bad = missing or validate_keys(keys["public"], keys["private"], keys["index"])
    if bad:
        return bad
    keyring = Keyring(Opener(keys["private"]), BlindIndex(keys["index"]))
    in_use = {
        "secret": settings.secret_keys, "public": settings.public_keys,
        "private": settings.private_keys, "index": settings.index_keys,
    }  # fmt: skip
    return [
        *key_faults(session, keyring),
        *(
            f"It lacks a {kind} key that is in use here. Make a new copy."
            for kind, used in in_use.items()
            if not set(used) <= set(keys[kind])
        ),
    ]


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
