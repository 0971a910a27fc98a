"""A message to the office, written out to its inbox."""

import json

from sqlalchemy.orm import Session

from belong_mail.contact.models import ContactMessage
from belong_mail.contact.service import PLACE, TOPICS, Written
from belong_mail.outbox.letters import Desk, Letter
from belong_mail.sending.models import Delivery


def letter(session: Session, desk: Desk, delivery: Delivery) -> Letter:
    """Write a message out; its writer, if known, is in Reply-To alone.

    It goes to the office whatever the row says: whoever can write rows must not be able to read
    other people's messages.
    """
    message = session.get_one(ContactMessage, delivery.about_id)
    written = Written(**json.loads(desk.opener.open(message.sealed, PLACE)))
    language = "en"
    return Letter(
        to=desk.office,
        language=language,
        reply_to=written.address,
        context={
            "reference": message.reference,
            "topic": desk.renderer.words(language, TOPICS.get(written.topic, written.topic)),
            "writer_name": written.name,
            "writer_address": written.address,
            "message": written.message,
            "received_at": message.received_at,
        },
    )
