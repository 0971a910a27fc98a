"""Check that the worker's keys open the database; with wrong keys the worker holds.

Otherwise all email would fail, new rows would get the wrong key, and each address would be taken
for a new one. A copy of the keys is checked, too: it must have every key that is in use.
"""

import io
import re
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import PurePosixPath

from sqlalchemy import (
    CompoundSelect,
    Connection,
    func,
    inspect,
    literal,
    select,
    union_all,
    update,
)
from sqlalchemy.orm import Session, load_only, selectinload

from belong_mail.accounts.models import Account
from belong_mail.contact.models import ContactMessage
from belong_mail.contact.service import MESSAGE_COLUMN
from belong_mail.core.db import now, schema_step
from belong_mail.core.decryption import (
    BlindIndex,
    DecryptionError,
    Keyring,
    Opener,
    worker_keys,
)
from belong_mail.core.encryption import KINDS, SEALED, WRAPPED, validate_keys
from belong_mail.core.jobs import Job
from belong_mail.core.services import Settings
from belong_mail.delivery.work import LARGE_WRAPPED_ROWS, Column, WrappedColumn
from belong_mail.groups.models import Group
from belong_mail.members.models import Subscription
from belong_mail.members.wrapped_fields import open_address
from belong_mail.ops.key_rotation import head
from belong_mail.ops.rooms import WRAPPED_COLUMNS

# Keys by kind, oldest first.
Keys = dict[str, tuple[str, ...]]
# Largest copy of keys in bytes.
MAX_OCTETS = 1 << 20
LINE = re.compile(rf"^BELONG_({'|'.join(KINDS).upper()})_KEYS=(.*)$", re.MULTILINE)
# How many of the first, and of the last, rows of each kind are opened.
SAMPLED_ROWS = 20
# If fewer rows do not open, the rows are corrupt rather than the keys wrong.
MIN_FAILED_ROWS = 3
# Columns of tables that the web has no right to lock: for a start while other tables are locked.
NEVER_LOCKED = [
    each for each in WRAPPED_COLUMNS if each.column.class_ in {Account, Group, Subscription}
]
INDEX_FAULT = "BELONG_INDEX_KEYS is not the key that the members here were indexed with."


class WrongKeys(Exception):
    """The keys here do not open what is in the database; nothing was changed."""


def require_keys(connection: Connection, settings: Settings) -> None:
    """Raise KeysMissing or WrongKeys unless the keys open the rows: else rows would be lost."""
    if schema_step(connection) is None:
        return
    keyring = worker_keys(settings.private_keys, settings.index_keys)
    with Session(connection, join_transaction_mode="rollback_only") as session:
        faults = key_faults(session, keyring, _columns_there(connection))
    if faults:
        raise WrongKeys(f"{' '.join(faults)} Put the right keys in place. Nothing was changed.")


def key_faults(
    session: Session, keyring: Keyring, columns: Sequence[WrappedColumn] = WRAPPED_COLUMNS
) -> list[str]:
    """Return the kinds of rows that the keys do not open.

    A missing key shows in many rows, or in all that there are; a single row proves nothing.
    """
    tried = defaultdict[str, list[bool | None]](list)
    # The first rows of a short table are also its last ones.
    for number, wrapped, row in dict.fromkeys(session.execute(_ends(columns))):
        column, place, *_ = columns[number]
        if wrapped and wrapped[:1] == WRAPPED:
            name = f"{column.class_.__tablename__}.{column.key}"
            tried[name].append(_opens(keyring, wrapped, row, place))
    is_any_open = any(True in opened for opened in tried.values())
    found = [
        f"The private keys here do not open {closed} of {len(opened)} {name} that were tried."
        for name, opened in tried.items()
        if (closed := len(opened) - opened.count(True)) >= MIN_FAILED_ROWS
        or (opened.count(None) and not is_any_open)
    ]
    return found or list(_index_fault(session, keyring))


def check_unknown_keys(session: Session, keyring: Keyring) -> list[str]:
    """Decide on each unknown key id by the number of rows that have it.

    An id in few rows is dismissed as corrupt data. Any other is returned as a fault.
    """
    opener, found = keyring.opener, []
    for key_id in list(opener.unknown):
        number = max(_bearing(session, column, key_id) for column, *_ in WRAPPED_COLUMNS)
        if number < MIN_FAILED_ROWS:
            opener.dismiss(key_id)
        else:
            found.append("Many rows need a private key that is not here.")
    return found


def retry_unreadable_jobs(session: Session, opener: Opener) -> None:
    """Retry jobs that could not be read, if their key is here now."""
    here = [SEALED + key_id for key_id in opener.key_ids]
    # By the index of due times: what waits for a later time has not failed.
    failed = update(Job).where(Job.failures > 0, Job.due_at <= now())
    failed = failed.where(head(Job.sealed).in_(here))
    session.execute(failed.values(failures=0), execution_options={"synchronize_session": False})


def unread_messages(session: Session, keyring: Keyring) -> list[str]:
    """Report if none of the last messages to the office can be opened."""
    last = select(ContactMessage.sealed).order_by(ContactMessage.id.desc()).limit(MIN_FAILED_ROWS)
    sealed = list(session.scalars(last))
    for each in sealed:
        with suppress(DecryptionError):
            keyring.opener.open(each, MESSAGE_COLUMN)
            return []
    found = f"The private keys here do not open the last {len(sealed)} contact_messages.sealed."
    return [found] if sealed else []


def read_copy(data: bytes) -> Keys:
    """Parse a tar of the folder of keys, or the output of `keys new`."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            found = {
                PurePosixPath(each.name).name: file.read(MAX_OCTETS).decode(errors="replace")
                for each in archive
                if each.isfile() and (file := archive.extractfile(each)) is not None
            }
    except (tarfile.ReadError, EOFError, OSError, zlib.error):
        lines = LINE.findall(data.decode(errors="replace"))
        found = {kind.lower(): value for kind, value in lines}
    return {kind: tuple(found.get(kind, "").strip().split(",")) for kind in KINDS}


def copy_faults(session: Session, keys: Keys, settings: Settings) -> list[str]:
    """Return what a copy of the keys lacks for this database."""
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
            f"It lacks one of the {kind} keys in use here. Make a new copy."
            for kind, used in in_use.items()
            if not set(used) <= set(keys[kind])
        ),
    ]


def _columns_there(connection: Connection) -> list[WrappedColumn]:
    """List the wrapped columns that a database has, as an older one lacks some."""
    tables = inspect(connection).get_multi_columns().items()
    there = {(table, each["name"]) for (_, table), columns in tables for each in columns}
    return [
        each
        for each in WRAPPED_COLUMNS
        if (each.column.class_.__tablename__, each.column.key) in there
    ]


def _ends(columns: Sequence[WrappedColumn]) -> CompoundSelect[int, bytes | None, str]:
    """Select the first and last rows of each kind: its number, wrapped value, row's name.

    Finds them by primary key, so that no table is scanned.
    """
    parts = []
    for number, (column, _, row, batch) in enumerate(columns):
        key = next(iter(column.class_.__table__.primary_key.columns))
        most = SAMPLED_ROWS if batch > LARGE_WRAPPED_ROWS else 1
        for order in (key, key.desc()):
            some = select(column, row.label("row")).order_by(order).limit(most).subquery()
            parts.append(select(literal(number), *some.c))
    return union_all(*parts)


def _opens(keyring: Keyring, wrapped: bytes, row: str, place: str) -> bool | None:
    """Return whether a row opens, or None if its key is not here."""
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
    """Yield a fault if every stored index differs from its address's: the index key is wrong."""
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
