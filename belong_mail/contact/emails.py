"""The emails of the contact form: the message to whom it is for, a receipt to its writer."""

import json

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.contact.models import ContactMessage
from belong_mail.contact.service import (
    ARGUMENTS_COLUMN,
    MESSAGE_COLUMN,
    RECIPIENT_COLUMN,
    REFERENCE,
    TOPICS,
    ContactData,
)
from belong_mail.core import i18n, jobs, rate_limits
from belong_mail.core.db import now
from belong_mail.core.rate_limits import ACKNOWLEDGEMENT_RATE, WorkerLimit
from belong_mail.delivery import suppressions
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer
from belong_mail.delivery.models import Delivery, State
from belong_mail.groups import mailbox as mailboxes
from belong_mail.mail.address import normalise


def contact_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Write a message out; its writer, if known, is in Reply-To alone.

    It goes to the office or to a group's mailbox, as its writer chose under the seal, whatever the
    delivery's row says: whoever can write rows must not be able to read other people's messages.
    """
    message = session.get_one(ContactMessage, delivery.about_id)
    written = ContactData(**json.loads(mailer.opener.open(message.sealed, MESSAGE_COLUMN)))
    language = i18n.DEFAULT
    thread = message.thread
    group = message.group if message.group and message.group.public_id == written.to else None
    mailbox = mailboxes.mailbox_of(mailer.opener, group) if group else ""
    return Email(
        to=mailbox or mailer.office,
        language=language,
        reply_to=written.address,
        context={
            "reference": thread.reference if thread else message.reference,
            "answer_url": mailer.links.page("office.thread", language, reference=thread.reference)
            if thread
            else "",
            "topic": mailer.renderer.words(language, TOPICS.get(written.topic, written.topic)),
            "leads_of": group.name if group else "",
            "is_with_leads": mailbox != "",
            "writer_name": written.name,
            "writer_address": written.address,
            "message": written.message,
            "received_at": message.received_at,
        },
    )


def acknowledgement(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Tell a writer of the staff that we have a message, in fixed words: once a day, if not barred.

    All silences look alike in the books, so that they tell no guess apart: also when the words
    could not be written, or when more addresses were looked up than people mean.
    """
    message = session.get(ContactMessage, delivery.about_id)
    to = mailer.opener.open(delivery.sealed_to or b"", RECIPIENT_COLUMN).decode()
    language = mailer.opener.open(delivery.sealed_arguments or b"", ARGUMENTS_COLUMN).decode()
    identity = normalise(to)
    is_barred = not mailer.staff.admits(to) or suppressions.is_suppressed(
        session, mailer.index, identity
    )
    if message is None or not REFERENCE.fullmatch(message.reference) or is_barred:
        raise SkipDelivery(State.WITHDRAWN)
    if not _may_look_up(session) or not _is_first_today(session, mailer, delivery, identity):
        raise SkipDelivery(State.WITHDRAWN)
    return Email(to, i18n.known_language(language), {"reference": message.reference})


def _may_look_up(session: Session) -> bool:
    """Count a look at whether an address is barred, like what visitors type elsewhere."""
    has_room = jobs.remaining_lookups(session, now()) > 0
    if has_room:
        jobs.count_lookups(session, 1, now())
    return has_room


def _is_first_today(session: Session, mailer: Mailer, delivery: Delivery, identity: str) -> bool:
    """Count this delivery for its writer's day, once however often it is tried."""
    at = delivery.created_at
    key = mailer.index.limited(f"ack/{identity}")
    used_until = session.scalar(select(WorkerLimit.used_until).where(WorkerLimit.key == key))
    is_counted = used_until == at.timestamp() + ACKNOWLEDGEMENT_RATE.per.total_seconds()
    return is_counted or rate_limits.try_use(session, key, ACKNOWLEDGEMENT_RATE, at) is not None
