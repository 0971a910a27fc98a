"""Storing a message to the office before the writer is thanked."""

import json
import re
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.contact.models import ContactMessage
from belong_mail.languages import marked
from belong_mail.outbox import service as outbox
from belong_mail.sealing import Sealer

PLACE = "contact_messages.sealed"
TO = "deliveries.sealed_to"
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


@dataclass(frozen=True, slots=True)
class Written:
    """What a person wrote; name and address may be empty."""

    topic: str
    message: str
    name: str = ""
    address: str = ""


def receive(
    session: Session, sealer: Sealer, inbox: str, written: Written, due_at: datetime
) -> str:
    """Store a message, sealed, ask for the mail to the inbox, and return its reference."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(8))
    reference = f"{code[:4]}-{code[4:]}"
    sealed = sealer.seal(json.dumps(asdict(written)).encode(), PLACE)
    message = ContactMessage(reference=reference, sealed=sealed)
    session.add(message)
    session.flush()
    outbox.post(
        session,
        "contact-message",
        sealed_to=sealer.seal(inbox.encode(), TO),
        about_id=message.id,
        due_at=due_at,
    )
    return reference


def is_kept(session: Session, reference: str) -> bool:
    if not REFERENCE.fullmatch(reference):
        return False
    found = select(ContactMessage.id).where(ContactMessage.reference == reference)
    return session.scalar(found) is not None
