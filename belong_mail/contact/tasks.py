"""The worker's functions for messages: email, acknowledge, resend and delete them."""

import json

from sqlalchemy import delete, exists, select

from belong_mail.contact import service
from belong_mail.contact.jobs import ResendMessages, SendMessage
from belong_mail.contact.models import ContactMessage, Thread
from belong_mail.contact.service import ContactData
from belong_mail.core import jobs, rate_limits
from belong_mail.core.db import ago, is_older
from belong_mail.core.rate_limits import ACKNOWLEDGEMENT_RATE, RESEND_RATE
from belong_mail.core.retention import DELIVERY_AGE, THREAD_MAX_AGE, in_batches
from belong_mail.delivery import suppressions
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import RETENTION, JobWork, Refused, Work, does
from belong_mail.mail.address import folded, untagged

RECEIPT = "contact-received"
RESENT = b"contact/resent"
# Messages that were emailed, or sent twice with an uncertain outcome.
_IS_MAILED = exists().where(
    Delivery.about_id == ContactMessage.id,
    Delivery.kind == service.KIND,
    Delivery.state.in_((State.ACCEPTED, State.UNCERTAIN)),
    Delivery.due_at.is_(None),
    Delivery.finished_at < ago(DELIVERY_AGE),
)
RETENTION["contact messages"] = in_batches(delete(ContactMessage), _IS_MAILED)
RETENTION["contact threads"] = in_batches(delete(Thread), is_older(Thread.last_at, THREAD_MAX_AGE))


class MessageMissing(Exception):
    """The job's message was deleted."""


@does(SendMessage)
def send_message(work: JobWork, asked: SendMessage) -> None:
    """Queue a message's email, once, and a receipt to a writer with a staff address."""
    session, keys = work.session, work.keys
    if (message := service.find(session, asked.reference)) is None:
        raise MessageMissing
    session.refresh(message, with_for_update=True)
    is_posted = exists().where(Delivery.about_id == message.id, Delivery.kind == service.KIND)
    if session.scalar(select(is_posted)):
        raise Refused
    service.post(session, message)
    opened = keys.opener.open(message.sealed, service.MESSAGE_COLUMN)
    written = ContactData(**json.loads(opened))
    if work.settings.staff.admits(written.address) and _may_have_receipt(work, written):
        work.post(RECEIPT, untagged(written.address), written.language, reference=message.reference)


def _may_have_receipt(work: Work, written: ContactData) -> bool:
    """Return whether a writer gets a receipt: at most once a day, and not if suppressed.

    Looking up a suppression counts as a lookup of a typed address.
    """
    session, index = work.session, work.keys.index
    if not jobs.remaining_lookups(session, work.at):
        return False
    jobs.count_lookups(session, 1, work.at)
    identity = folded(written.address)
    if suppressions.is_suppressed(session, index, identity):
        return False
    key = index.limited("ack", identity)
    return rate_limits.try_use(session, key, ACKNOWLEDGEMENT_RATE, work.at) is not None


@does(ResendMessages)
def resend_messages(work: JobWork, _asked: ResendMessages) -> None:
    """Queue undelivered messages again, within RESEND_RATE.

    An intruder in the web can cause this, too; then a message may arrive twice at its recipient.
    """
    work.use(RESENT, RESEND_RATE)
    service.resend(work.session)
