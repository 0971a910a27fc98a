"""A member's own calendar: what its link names, and whose it is."""

import hashlib

from sqlalchemy.orm import Session

from belong_mail.core.tokens import BadToken
from belong_mail.members import service as members
from belong_mail.members.models import Subscription

# Hexadecimal digits; the signature protects the link, these only tell one membership from the next.
STAMP_DIGITS = 16
SEPARATOR = "~"


def link_id(subscription: Subscription) -> str:
    """Return what the link of a member's calendar signs.

    It changes when the member leaves and joins again, and when the address moves: what was mailed
    to an address that somebody else may read by now opens nothing.
    """
    return f"{subscription.public_id}{SEPARATOR}{_stamp(subscription)}"


def member_of(session: Session, signed: str) -> Subscription:
    """Return whose calendar a link opens, or raise BadToken when they have left or moved."""
    public_id, _, stamp = signed.partition(SEPARATOR)
    subscription = members.get(session, public_id)
    if not subscription.is_active or stamp != _stamp(subscription):
        raise BadToken
    return subscription


def _stamp(subscription: Subscription) -> str:
    since = subscription.confirmed_at.timestamp() if subscription.confirmed_at else 0.0
    said = subscription.address_index + f"{since:.0f}".encode()
    return hashlib.sha256(said).hexdigest()[:STAMP_DIGITS]
