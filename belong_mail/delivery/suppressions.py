"""Add, look up and lift suppressions of addresses; only the worker can compute their index."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime

from sqlalchemy import bindparam, literal, select
from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.core.decryption import BlindIndex
from belong_mail.core.statements import CompiledStatement
from belong_mail.delivery.models import Suppression
from belong_mail.mail.address import untagged

BY_REQUEST = "asked"
# Bytes of an index, and of a Unix time.
INDEX_OCTETS, PERMISSION_SECONDS = 16, 8
_FINDING = CompiledStatement(
    select(literal(1)).where(Suppression.address_index == bindparam("index"))
)


def key_of(index: BlindIndex, address: str) -> bytes:
    """Return the index of a normalised address, without its plus tag: that is the same mailbox."""
    return index.suppressed(untagged(address))


def suppress(session: Session, index: BlindIndex, address: str) -> None:
    """Stop all email to a normalised address."""
    key = key_of(index, address)
    if session.get(Suppression, key) is None:
        session.add(Suppression(address_index=key, reason=BY_REQUEST))


def is_suppressed(session: Session, index: BlindIndex, address: str) -> bool:
    session.flush()
    found, _ = _FINDING.run(session.connection(), {"index": key_of(index, address)})
    return bool(found)


def lift_permission(
    session: Session, index: BlindIndex, address: str, until: datetime
) -> str | None:
    """Return the permission to lift an address's suppression, or None if it has none.

    It is emailed to that address alone. The web cannot make one, because it lacks the index key.
    """
    suppression = session.get(Suppression, key_of(index, address))
    if suppression is None:
        return None
    seconds = int(until.timestamp())
    tag = index.permit(suppression.address_index, suppression.since.isoformat(), seconds)
    made = suppression.address_index + seconds.to_bytes(PERMISSION_SECONDS, "big") + tag
    return urlsafe_b64encode(made).rstrip(b"=").decode()


def lift(session: Session, index: BlindIndex, permission: str) -> bool:
    """Lift the suppression that a permission names, unless it was altered or has expired."""
    try:
        made = urlsafe_b64decode(permission + "=" * (-len(permission) % 4))
    except ValueError:
        return False
    key, rest = made[:INDEX_OCTETS], made[INDEX_OCTETS:]
    until, tag = int.from_bytes(rest[:PERMISSION_SECONDS], "big"), rest[PERMISSION_SECONDS:]
    suppression = session.get(Suppression, key)
    if suppression is None or until <= now().timestamp():
        return False
    made_here = index.permit(key, suppression.since.isoformat(), until)
    if not hmac.compare_digest(tag, made_here):
        return False
    session.delete(suppression)
    return True
