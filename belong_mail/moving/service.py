"""Confirming a new address, for the blind web."""

import json

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.db import now
from belong_mail.memberships.models import AddressChange
from belong_mail.sealing import Sealer
from belong_mail.subscriptions.models import Request
from belong_mail.subscriptions.service import SEALED
from belong_mail.tokens import BadToken


def find(session: Session, public_id: str) -> AddressChange:
    """Find a change that a link asks about, or raise BadToken when it is over."""
    found = select(AddressChange).where(AddressChange.public_id == public_id)
    change = session.scalar(found.with_for_update())
    if change is None:
        raise BadToken
    return change


def look_at(session: Session, public_id: str) -> None:
    """Raise BadToken when there is nothing to ask about."""
    if session.scalar(select(AddressChange.id).where(AddressChange.public_id == public_id)) is None:
        raise BadToken


def confirm(session: Session, sealer: Sealer, public_id: str) -> None:
    """Confirm a new address; the worker moves the groups. A second time does nothing more."""
    change = find(session, public_id)
    if change.confirmed_at is None:
        change.confirmed_at = now()
        sealed = sealer.seal(json.dumps({"change": public_id}).encode(), SEALED)
        session.add(Request(kind="move-address", sealed=sealed))
