"""Storing a message to the office or to leads before the writer is thanked."""

import json
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.contact.models import ContactMessage, Thread
from belong_mail.db import now
from belong_mail.groups.models import Group
from belong_mail.languages import marked
from belong_mail.outbox import service as outbox
from belong_mail.sealing import Sealer
from belong_mail.sending.models import Delivery, State

KIND = "contact-message"
UNDELIVERED = (State.BOUNCED, State.FAILED, State.EXPIRED, State.UNCERTAIN)
"""An uncertain one may have arrived, or not: when it is not due, its second try is over too."""
PLACE = "contact_messages.sealed"
TO = "deliveries.sealed_to"
ARGUMENTS = "deliveries.sealed_arguments"
ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without the letters that look like another."""
REFERENCE = re.compile(f"[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}")
TOPICS = {
    "join": marked("Help with joining"),
    "start": marked("Start a group"),
    "need": marked("Tell us a need"),
    "access": marked("An interpreter, captions or access"),
    "event": marked("An event"),
    "concern": marked("A concern"),
}
"""In English; the catalogs have the rest."""
AGAIN = marked("A further message")
"""The topic of what comes with a receipt code."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a person wrote; name and address may be empty."""

    topic: str
    message: str
    name: str = ""
    address: str = ""
    to: str = ""
    """The public id of the group whose leads it is for; empty: for the office."""


def addressees(session: Session) -> list[Group]:
    """List the groups whose leads can be written to: open, with a shared mailbox."""
    found = select(Group).where(
        Group.wrapped_mailbox.is_not(None),
        Group.established_at.is_not(None),
        Group.retired_at.is_(None),
    )
    return list(session.scalars(found.order_by(Group.position)))


def receive(
    session: Session, sealer: Sealer, inbox: str, written: Written, due_at: datetime
) -> ContactMessage:
    """Store a message, sealed, and ask for the mail to whom it is for."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(8))
    reference = f"{code[:4]}-{code[4:]}"
    sealed = sealer.seal(json.dumps(asdict(written)).encode(), PLACE)
    group = session.scalar(select(Group).where(Group.public_id == written.to))
    message = ContactMessage(reference=reference, sealed=sealed, group=group)
    session.add(message)
    session.flush()
    outbox.post(
        session,
        KIND,
        sealed_to=sealer.seal(inbox.encode(), TO),
        about_id=message.id,
        due_at=due_at,
    )
    return message


def write_again(session: Session, sealer: Sealer, inbox: str, thread: Thread, words: str) -> None:
    """Store a further message of a thread, for the office."""
    message = receive(session, sealer, inbox, Written(AGAIN, words), now())
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
        sealed_to=sealer.seal(address.encode(), TO),
        about_id=message.id,
        sealed_arguments=sealer.seal(language.encode(), ARGUMENTS),
        due_at=due_at,
    )


def undelivered(session: Session) -> dict[str, Delivery]:
    """Return by its reference what has not reached whom it was for, and never will by itself.

    The few messages are walked through, not the many deliveries that are about something.
    """
    found = (
        select(ContactMessage.reference, Delivery)
        .join(Delivery, Delivery.about_id == ContactMessage.id + 0)
        .where(Delivery.kind == KIND, Delivery.state.in_(UNDELIVERED), Delivery.due_at.is_(None))
        .order_by(ContactMessage.id)
    )
    return dict(session.execute(found).all())


def resend(session: Session) -> int:
    """Put what has not arrived back into the queue; return how many messages that are."""
    again = undelivered(session).values()
    for delivery in again:
        delivery.state, delivery.due_at, delivery.finished_at = State.QUEUED, now(), None
        delivery.created_at, delivery.attempts = now(), 0
    return len(again)


def find(session: Session, reference: str) -> ContactMessage | None:
    """Find a message that is still kept."""
    if not REFERENCE.fullmatch(reference):
        return None
    found = select(ContactMessage).where(ContactMessage.reference == reference)
    return session.scalar(found)
