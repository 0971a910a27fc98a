"""Emails of the contact form: the message to its recipient, a receipt to its writer."""

import json

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.contact.models import ContactMessage
from belong_mail.contact.service import (
    FURTHER_MESSAGE,
    KIND,
    MESSAGE_COLUMN,
    REFERENCE,
    TOPICS,
    ContactData,
)
from belong_mail.contact.tasks import RECEIPT
from belong_mail.core import i18n
from belong_mail.delivery.dispatcher import SkipDelivery
from belong_mail.delivery.mailer import Email, Mailer
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import unless_suppressed, writes
from belong_mail.groups import mailbox as mailboxes
from belong_mail.groups.models import Group


@writes(KIND)
def contact_email(session: Session, mailer: Mailer, delivery: Delivery) -> Email:
    """Email a message to the office or to a group's mailbox; Reply-To is the writer's address.

    The sealed message decides the recipient and the thread, not a row: otherwise an intruder who
    writes rows could read other people's messages or answers, or have the office read those to
    leaders.
    """
    message = session.get_one(ContactMessage, delivery.about_id)
    written = ContactData(**json.loads(mailer.keys.opener.open(message.sealed, MESSAGE_COLUMN)))
    language = i18n.DEFAULT
    found = select(Group).where(Group.public_id == written.to)
    group = session.scalar(found) if written.to else None
    reference = written.thread or message.reference
    if not REFERENCE.fullmatch(reference):  # it stands in the subject
        raise SkipDelivery(State.FAILED)
    mailbox = mailboxes.mailbox_of(mailer.keys.opener, group) if group else ""
    return Email(
        to=mailbox or mailer.settings.contact_inbox,
        language=language,
        reply_to=written.address,
        context={
            "reference": reference,
            "is_thread": written.thread != "",
            "topic": i18n.catalog(language).gettext(TOPICS.get(written.topic, FURTHER_MESSAGE)),
            "leads_of": group.name_in_emails if group else "",
            "is_with_leads": mailbox != "",
            "writer_name": written.name,
            "writer_address": written.address,
            "message": written.message,
            "received_at": message.received_at,
        },
    )


writes(RECEIPT)(unless_suppressed)
