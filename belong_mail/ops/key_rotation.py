"""Wrap values of older keys again with the newest, some at a time."""

from typing import Any

from sqlalchemy import LargeBinary, func, select, update
from sqlalchemy.orm import Session

from belong_mail.core.db import Base
from belong_mail.core.decryption import DecryptionError, Opener
from belong_mail.core.encryption import HEAD_OCTETS, SEALED, WRAPPED
from belong_mail.core.retention import DELIVERY_AGE
from belong_mail.delivery.work import WRAPPED_ROWS, WrappedColumn, each_minute
from belong_mail.ops.rooms import WRAPPED_COLUMNS

SOON = "the worker wraps them again, hundreds a minute"
# No other encrypted value is kept for longer than the delivery of a single email.
LATER = f"deleted at most {DELIVERY_AGE.days} days after they were sent or answered"


def rewrap(session: Session, opener: Opener, most: int = WRAPPED_ROWS) -> int:
    """Rewrap some values with the newest key; return how many, or 0 if none is left.

    It may be interrupted, as each value has its key's id, and never overwrites a value that was
    changed meanwhile.
    """
    done = 0
    if opener.old_key_ids:
        for wrapped in WRAPPED_COLUMNS:
            done += _rewrap(session, opener, wrapped, min(wrapped.batch_rows, most - done))
    return done


each_minute("Older keys stay in use")(lambda work: bool(rewrap(work.session, work.keys.opener)))


def rows_left(session: Session, opener: Opener) -> dict[str, int]:
    """Count the values that still need an older key, by kind."""
    older = [kind + name for kind in (SEALED, WRAPPED) for name in opener.old_key_ids]
    lasting = {f"{each.class_.__tablename__}.{each.key}" for each, *_ in WRAPPED_COLUMNS}
    counts: dict[str, int] = {}
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if older and isinstance(column.type, LargeBinary):
                number = session.scalar(select(func.count()).where(head(column).in_(older)))
                name = f"{table.name}.{column.name}"
                counts[f"{name}: {SOON if name in lasting else LATER}"] = number or 0
    return {words: number for words, number in counts.items() if number}


def _rewrap(session: Session, opener: Opener, wrapped: WrappedColumn, most: int) -> int:
    """Encrypt at most so many values of a column with the newest key; return the number."""
    column, place, row, _ = wrapped
    keys = column.class_.__table__.primary_key.columns
    older = [WRAPPED + name for name in opener.old_key_ids]
    found = select(column, row, *keys).where(head(column).in_(older)).order_by(*keys)
    done = 0
    for old, name, *values in session.execute(found.limit(most)).all():
        try:
            fresh = opener.wrap(opener.unwrap(old, place, name), place, name)
        except DecryptionError:
            continue
        same = (key == value for key, value in zip(keys, values, strict=True))
        unchanged = update(column.class_).where(*same, column == old)
        session.execute(unchanged.values({column.key: fresh}))
        done += 1
    return done


def head(column: Any) -> Any:
    """Select the first bytes of a column: the format and the key's id."""
    return func.substr(column, 1, HEAD_OCTETS, type_=LargeBinary)
