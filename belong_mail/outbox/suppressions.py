"""Leaving addresses alone: the worker's side, which can name them."""

from sqlalchemy.orm import Session

from belong_mail.opening import BlindIndex
from belong_mail.outbox.models import Suppression


def add(session: Session, index: BlindIndex, address: str, reason: str) -> None:
    """Write to a normalised address no more, whatever anybody types."""
    key = index.suppressed(address)
    if session.get(Suppression, key) is None:
        session.add(Suppression(address_index=key, reason=reason))


def covers(session: Session, index: BlindIndex, address: str) -> bool:
    return session.get(Suppression, index.suppressed(address)) is not None
