"""Email what was written: the worker's side of the contact form."""

import json

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from belong_mail.contact import service
from belong_mail.contact.jobs import SendMessage
from belong_mail.contact.service import ContactData
from belong_mail.core import jobs, rate_limits
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import ACKNOWLEDGEMENT_RATE, RESEND_RATE
from belong_mail.delivery import suppressions
from belong_mail.delivery.mailer import post_to_address
from belong_mail.delivery.models import Delivery
from belong_mail.mail.address import normalise

RECEIPT = "contact-received"
RESENT = b"contact/resent"


class MessageMissing(Exception):
    """A message is not there whose email was asked for: the operator is told."""


def send_message(session: Session, keyring: Keyring, job: Job) -> None:
    """Email a stored message to whom it is for, once, and its writer a receipt, in fixed words."""
    asked = SendMessage(**keyring.open_job(job))
    if (message := service.find(session, asked.reference)) is None:
        raise MessageMissing
    session.refresh(message, with_for_update=True)
    is_posted = exists().where(Delivery.about_id == message.id, Delivery.kind == service.KIND)
    if session.scalar(select(is_posted)):
        return
    service.post(session, message)
    opened = keyring.opener.open(message.sealed, service.MESSAGE_COLUMN)
    written = ContactData(**json.loads(opened))
    if keyring.staff.admits(written.address) and _may_have_receipt(session, keyring, written):
        to, language = written.address, written.language
        post_to_address(session, keyring, RECEIPT, to, language, reference=message.reference)


def _may_have_receipt(session: Session, keyring: Keyring, written: ContactData) -> bool:
    """Tell whether a writer gets one: once a day, if not barred.

    A look at whether an address is barred counts like one at what visitors type elsewhere.
    """
    at, identity = now(), normalise(written.address)
    if not jobs.remaining_lookups(session, at):
        return False
    jobs.count_lookups(session, 1, at)
    if suppressions.is_suppressed(session, keyring.index, identity):
        return False
    key = keyring.index.limited(f"ack/{identity}")
    return rate_limits.try_use(session, key, ACKNOWLEDGEMENT_RATE, at) is not None


def resend_messages(session: Session, _keyring: object, _job: Job) -> None:
    """Put what has not arrived back into the queue, where that was not just done.

    Whoever broke into the web can ask for it too: one may arrive twice, at the inbox it is for.
    """
    if rate_limits.try_use(session, RESENT, RESEND_RATE, now()):
        service.resend(session)
