"""Threads with writers who gave no address and read the answers by a code.

A key pair is derived from the code. The thread has the public key, so the web can add messages at
any time, but only the code's holder can read them.
"""

import secrets
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.contact.models import Thread, ThreadEntry
from belong_mail.contact.service import ALPHABET, ContactData, in_fours
from belong_mail.core import audit, encryption
from belong_mail.core.db import now, required
from belong_mail.core.encryption import Sealer, SecretKeyPair, UnlockError
from belong_mail.core.retention import THREAD_MAX_AGE

# Characters of a code: 95 bits.
CODE_LENGTH = 20
KEY_COLUMN, ENTRY_COLUMN = "threads.receipt_key", "thread_entries.sealed"


class ThreadNotFound(Exception):
    """The code is wrong, or its thread was deleted."""


def new_code() -> str:
    """Return a random code for people to copy: five groups of four unambiguous characters."""
    return in_fours("".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH)))


def start_thread(session: Session, reference: str, code: str, written: ContactData) -> Thread:
    """Create a thread with a first message, sealed to the code, which is stored nowhere."""
    keys = _code_keys(code)
    thread = Thread(reference=reference, receipt_key=keys.public, topic=written.topic)
    session.add(thread)
    session.flush()
    add_entry(session, thread, written.message, is_office=False)
    return thread


def find_thread(session: Session, code: str) -> Thread:
    """Find a thread by its code, in any case and spacing. Raises ThreadNotFound."""
    found = select(Thread).where(
        Thread.receipt_key == _code_keys(code).public, Thread.last_at > now() - THREAD_MAX_AGE
    )
    return required(session.scalar(found), ThreadNotFound)


def add_entry(session: Session, thread: Thread, words: str, *, is_office: bool) -> None:
    """Add a message, sealed to the thread's key; the thread's age counts from it."""
    sealer = Sealer((encryption.encode(thread.receipt_key),))
    sealed = sealer.seal(words.encode(), f"{ENTRY_COLUMN}/{thread.reference}")
    thread.last_at = now()
    session.add(ThreadEntry(thread_id=thread.id, is_office=is_office, sealed=sealed))
    if is_office:
        audit.record(session, audit.Kind.THREAD_ANSWERED)
    session.flush()


def read_entries(session: Session, thread: Thread, code: str) -> list[dict[str, Any]]:
    """Decrypt a thread's messages, oldest first. Skips entries moved from another thread."""
    receipt = _code_keys(code)
    said = []
    for entry in thread_entries(session, thread):
        try:
            words = receipt.open(entry.sealed, f"{ENTRY_COLUMN}/{thread.reference}").decode()
        except UnlockError:
            continue
        said.append({"words": words, "is_office": entry.is_office, "at": entry.written_at})
    return said


def thread_entries(session: Session, thread: Thread) -> list[ThreadEntry]:
    found = select(ThreadEntry).where(ThreadEntry.thread_id == thread.id)
    return list(session.scalars(found.order_by(ThreadEntry.id)))


def _code_keys(code: str) -> SecretKeyPair:
    return SecretKeyPair("".join(c for c in code.upper() if c.isalnum()), KEY_COLUMN)
