"""The letters about a new address: confirm it there, and tell the old one."""

import json
from datetime import timedelta

from sqlalchemy.orm import Session

from belong_mail.mail.address import normalise
from belong_mail.memberships.letters import plain
from belong_mail.memberships.models import AddressChange
from belong_mail.memberships.receiving import CHANGE
from belong_mail.outbox import suppressions
from belong_mail.outbox.letters import Desk, Letter
from belong_mail.sending.models import Delivery, State
from belong_mail.sending.writing import NotSent
from belong_mail.tokens import Purpose

CONFIRM_WITHIN = timedelta(seconds=Purpose.CHANGE_ADDRESS.max_age or 0)


def confirm(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    """Ask at the new address; neither the old one nor a group stands in it."""
    change = session.get(AddressChange, delivery.about_id)
    if change is None or not change.wrapped:
        raise NotSent(State.WITHDRAWN)
    wanted = json.loads(desk.opener.unwrap(change.wrapped, CHANGE, change.public_id))
    if suppressions.covers(session, desk.index, normalise(wanted["new"])):
        raise NotSent(State.SUPPRESSED)
    at = delivery.created_at
    url = desk.links.signed(
        "moving.confirm", Purpose.CHANGE_ADDRESS, change.public_id, at, wanted["language"]
    )
    context = {"confirm_url": url, "expires": at + CONFIRM_WITHIN}
    return Letter(wanted["new"], wanted["language"], context)


def changed(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    """Tell the old address that it is no more in use: not by which it was replaced, nor where."""
    letter, _said = plain(session, desk, delivery)
    url = desk.links.page("contact.write", letter.language)
    return Letter(letter.to, letter.language, {"contact_url": url})
