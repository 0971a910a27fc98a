"""A message, written out to whom it is for; and the word to its writer that we have it."""

import json
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail import languages, limits
from belong_mail.contact.models import ContactMessage
from belong_mail.contact.service import ARGUMENTS, PLACE, TO, TOPICS, Written
from belong_mail.groups import mailboxes
from belong_mail.limits import Limit
from belong_mail.mail.address import normalise
from belong_mail.outbox import suppressions
from belong_mail.outbox.letters import Desk, Letter
from belong_mail.sending.models import Delivery, State
from belong_mail.sending.writing import NotSent

DAY = timedelta(days=1)


def letter(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    """Write a message out; its writer, if known, is in Reply-To alone.

    It goes to the office or to a group's mailbox, as its writer chose under the seal, whatever the
    delivery's row says: whoever can write rows must not be able to read other people's messages.
    """
    message = session.get_one(ContactMessage, delivery.about_id)
    written = Written(**json.loads(desk.opener.open(message.sealed, PLACE)))
    language = "en"
    thread = message.thread
    group = message.group if message.group and message.group.public_id == written.to else None
    mailbox = mailboxes.of(desk.opener, group) if group else ""
    return Letter(
        to=mailbox or desk.office,
        language=language,
        reply_to=written.address,
        context={
            "reference": thread.reference if thread else message.reference,
            "answer_url": desk.links.page("office.thread", language, reference=thread.reference)
            if thread
            else "",
            "topic": desk.renderer.words(language, TOPICS.get(written.topic, written.topic)),
            "leads_of": group.name if group else "",
            "is_with_leads": mailbox != "",
            "writer_name": written.name,
            "writer_address": written.address,
            "message": written.message,
            "received_at": message.received_at,
        },
    )


def acknowledgement(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    """Tell a writer that we have a message, in fixed words: once a day, and not if suppressed.

    Both silences look alike in the books, so that they tell no guess apart.
    """
    message = session.get(ContactMessage, delivery.about_id)
    to = desk.opener.open(delivery.sealed_to or b"", TO).decode()
    language = desk.opener.open(delivery.sealed_arguments or b"", ARGUMENTS).decode()
    identity = normalise(to)
    is_barred = suppressions.covers(session, desk.index, identity)
    if message is None or is_barred or not _is_first_today(session, desk, delivery, identity):
        raise NotSent(State.WITHDRAWN)
    return Letter(to, languages.known(language), {"reference": message.reference})


def _is_first_today(session: Session, desk: Desk, delivery: Delivery, identity: str) -> bool:
    """Count this delivery for its writer's day, once however often it is tried."""
    at = delivery.created_at
    key = desk.index.limited(f"ack/{identity}")
    used_until = session.scalar(select(Limit.used_until).where(Limit.key == key))
    is_counted = used_until == at.timestamp() + DAY.total_seconds()
    return is_counted or limits.admit(session, key, limits.Rate(1, DAY), at) <= at
