"""Storing a message to the office or to leads before the writer is thanked."""

import json
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.contact.models import ContactMessage, Thread
from belong_mail.core import audit, rate_limits
from belong_mail.core.db import now
from belong_mail.core.encryption import Sealer
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import RESEND_RATE
from belong_mail.core.translatable import gettext_noop
from belong_mail.delivery import outbox
from belong_mail.delivery.models import Delivery, State
from belong_mail.groups.models import Group

KIND = "contact-message"
# The job that sends what was not delivered again.
RESEND = "resend-messages"
RESENT = b"contact/resent"
# An uncertain one may have arrived, or not: when it is not due, its second try is over too.
UNDELIVERED = (State.BOUNCED, State.FAILED, State.EXPIRED, State.UNCERTAIN)
MESSAGE_COLUMN = "contact_messages.sealed"
RECIPIENT_COLUMN = "deliveries.sealed_to"
ARGUMENTS_COLUMN = "deliveries.sealed_arguments"
# Without the letters that look like another.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
REFERENCE = re.compile(f"[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}")


# In English; the catalogs have the rest.
TOPICS = {
    "join": gettext_noop("Help with joining"),
    "start": gettext_noop("Starting a group"),
    "need": gettext_noop("Request support"),
    "access": gettext_noop("Interpreter, captions, or accessibility"),
    "event": gettext_noop("An event"),
    "concern": gettext_noop("A concern"),
}


# The topic of what comes with a receipt code.
FURTHER_MESSAGE = gettext_noop("Another message")


@dataclass(frozen=True, slots=True)
class ContactData:
    """What a person wrote; name and address may be empty."""

    topic: str
    message: str
    name: str = ""
    address: str = ""
    # The public id of the group whose leads it is for; empty: for the office.
    to: str = ""


def addressees(session: Session) -> list[Group]:
    """List the groups whose leads can be written to: open, with a shared mailbox."""
    found = select(Group).where(
        Group.wrapped_mailbox.is_not(None),
        Group.established_at.is_not(None),
        Group.retired_at.is_(None),
    )
    return list(session.scalars(found.order_by(Group.position)))


def receive(
    session: Session, sealer: Sealer, inbox: str, written: ContactData, due_at: datetime
) -> ContactMessage:
    """Store a message, sealed, and ask for the mail to whom it is for."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(8))
    reference = f"{code[:4]}-{code[4:]}"
    sealed = sealer.seal(json.dumps(asdict(written)).encode(), MESSAGE_COLUMN)
    group = session.scalar(select(Group).where(Group.public_id == written.to))
    message = ContactMessage(reference=reference, sealed=sealed, group=group)
    session.add(message)
    session.flush()
    outbox.post(
        session,
        KIND,
        sealed_to=sealer.seal(inbox.encode(), RECIPIENT_COLUMN),
        about_id=message.id,
        due_at=due_at,
    )
    return message


def write_again(session: Session, sealer: Sealer, inbox: str, thread: Thread, words: str) -> None:
    """Store a further message of a thread, for the office."""
    message = receive(session, sealer, inbox, ContactData(FURTHER_MESSAGE, words), now())
    message.thread_id = thread.id


def acknowledge(
    session: Session,
    sealer: Sealer,
    message: ContactMessage,
    address: str,
    language: str,
    due_at: datetime,
) -> None:
    """Ask for the mail that tells a writer, at an address of the staff, that we have a message."""
    outbox.post(
        session,
        "contact-received",
        sealed_to=sealer.seal(address.encode(), RECIPIENT_COLUMN),
        about_id=message.id,
        sealed_arguments=sealer.seal(language.encode(), ARGUMENTS_COLUMN),
        due_at=due_at,
    )


def undelivered(session: Session) -> list[tuple[ContactMessage, Delivery]]:
    """List what has not reached whom it was for, nor will by itself, and its delivery.

    The oldest comes first. The few messages are walked through, not the many deliveries that are
    about something.
    """
    found = (
        select(ContactMessage, Delivery)
        .join(Delivery, Delivery.about_id == ContactMessage.id + 0)
        .where(Delivery.kind == KIND, Delivery.state.in_(UNDELIVERED), Delivery.due_at.is_(None))
        .order_by(ContactMessage.id)
    )
    return [(message, delivery) for message, delivery in session.execute(found)]


def ask_to_resend(session: Session) -> None:
    """Let the worker send again what has not arrived; the web may not touch these deliveries."""
    audit.record(session, audit.Kind.MESSAGES_RESENT)
    session.add(Job(kind=RESEND))


def resend_messages(session: Session, _keyring: object, _job: Job) -> None:
    """Put what has not arrived back into the queue, where that was not just done.

    Whoever broke into the web can ask for it too: one may arrive twice, at the inbox it is for.
    """
    if rate_limits.try_use(session, RESENT, RESEND_RATE, now()):
        resend(session)


def resend(session: Session) -> int:
    """Put what has not arrived back into the queue; return how many messages that are."""
    again = undelivered(session)
    for _message, delivery in again:
        delivery.state, delivery.due_at, delivery.finished_at = State.QUEUED, now(), None
        delivery.created_at, delivery.attempts = now(), 0
    return len(again)


def find(session: Session, reference: str) -> ContactMessage | None:
    """Find a message that is still kept."""
    if not REFERENCE.fullmatch(reference):
        return None
    found = select(ContactMessage).where(ContactMessage.reference == reference)
    return session.scalar(found)
