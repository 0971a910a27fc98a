"""Store messages to the office or to leaders, and queue their emails."""

import json
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import Session

from belong_mail.contact.jobs import SendMessage
from belong_mail.contact.models import ContactMessage
from belong_mail.core.db import is_older, now
from belong_mail.core.encryption import Sealer
from belong_mail.core.jobs import MAX_FAILURES, Job
from belong_mail.core.translatable import gettext_noop
from belong_mail.delivery import outbox
from belong_mail.delivery.models import Delivery, State
from belong_mail.groups.models import Group

KIND = "contact-message"
# A message without a delivery is late after this time.
UNREAD_AFTER = timedelta(minutes=15)
# Ended states in which a message may not have arrived.
UNDELIVERED = (State.BOUNCED, State.FAILED, State.EXPIRED, State.UNCERTAIN)
MESSAGE_COLUMN = "contact_messages.sealed"
# No letters that look alike, and no vowels, so that a code spells no word.
ALPHABET = "23456789BCDFGHJKMNPQRSTVWXZ"
REFERENCE = re.compile(f"[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}")


# English labels by key.
TOPICS = {
    "join": gettext_noop("Help with joining"),
    "start": gettext_noop("Starting a group"),
    "need": gettext_noop("Request support"),
    "access": gettext_noop("Interpreter, captions, or accessibility"),
    "event": gettext_noop("An event"),
    "concern": gettext_noop("A concern"),
}


# The topic of further messages in a thread.
FURTHER_MESSAGE = gettext_noop("Another message")


def new_reference() -> str:
    """Return a random reference, such as K7QM-2XRD."""
    return in_fours("".join(secrets.choice(ALPHABET) for _ in range(8)))


def in_fours(code: str) -> str:
    """Join a code's groups of four characters with hyphens, for people to copy."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


@dataclass(frozen=True, slots=True)
class ContactData:
    """The sealed contents of a message; name and address may be empty."""

    topic: str
    message: str
    name: str = ""
    address: str = ""
    # Public id of the group whose leaders it is for; "": the office.
    to: str = ""
    # The page's language, for the receipt.
    language: str = ""
    # Reference of the thread, if the writer gave no address.
    thread: str = ""


ADDRESSEES = (
    select(Group)
    .where(
        Group.wrapped_mailbox.is_not(None),
        Group.established_at.is_not(None),
        Group.retired_at.is_(None),
    )
    .order_by(Group.position)
)


def addressees(session: Session) -> list[Group]:
    """List the groups whose leaders can be written to: established, with a shared mailbox."""
    return list(session.scalars(ADDRESSEES))


def receive(
    session: Session,
    sealer: Sealer,
    reference: str,
    written: ContactData,
    due_at: datetime,
) -> None:
    """Store a message, sealed, and a job that emails it at `due_at`."""
    sealed = sealer.seal(json.dumps(asdict(written)).encode(), MESSAGE_COLUMN)
    group = session.scalar(select(Group).where(Group.public_id == written.to))
    at = now()
    message = ContactMessage(reference=reference, sealed=sealed, group=group, received_at=at)
    session.add(message)
    SendMessage(reference).ask(session, sealer, created_at=at, due_at=due_at)


_HAS_ENDED = and_(Delivery.state.in_(UNDELIVERED), Delivery.due_at.is_(None))
_IS_PUT_ASIDE = exists().where(
    Job.kind == SendMessage.kind,
    Job.created_at == ContactMessage.received_at,
    Job.failures >= MAX_FAILURES,
)
_IS_LATE = or_(is_older(ContactMessage.received_at, UNREAD_AFTER), _IS_PUT_ASIDE)
# Messages whose delivery has ended, or that have none, because the job failed or is gone. The query
# starts from the few messages, not from the many deliveries.
LOST = (
    select(ContactMessage, Delivery)
    .outerjoin(Delivery, and_(Delivery.about_id == ContactMessage.id + 0, Delivery.kind == KIND))
    .where(or_(_HAS_ENDED, and_(Delivery.id.is_(None), _IS_LATE)))
    .order_by(ContactMessage.id)
)


def undelivered(session: Session) -> list[tuple[ContactMessage, Delivery | None]]:
    """List messages that were not delivered and are not retried, oldest first."""
    return [
        (message, delivery)
        for message, delivery in session.execute(LOST)
        if REFERENCE.fullmatch(message.reference)
    ]


def resend(session: Session) -> int:
    """Queue undelivered messages again; return how many."""
    again = undelivered(session)
    for message, delivery in again:
        if delivery is None:
            post(session, message)
            continue
        delivery.state, delivery.due_at, delivery.finished_at = State.QUEUED, now(), None
        delivery.created_at, delivery.attempts = now(), 0
    return len(again)


def post(session: Session, message: ContactMessage) -> None:
    """Queue a message's email; its recipient is in the sealed message."""
    outbox.post(session, KIND, sealed_to=outbox.UNNAMED, about_id=message.id)


def find(session: Session, reference: str) -> ContactMessage | None:
    if not REFERENCE.fullmatch(reference):
        return None
    found = select(ContactMessage).where(ContactMessage.reference == reference)
    return session.scalar(found)
