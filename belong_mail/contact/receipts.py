"""Threads that a receipt code opens: for writers who give no address, and the office's answers.

From the code follows a key pair. The row keeps the public half, so the web can add to a thread at
any time, and only whoever types the code can read it.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail import keys
from belong_mail.contact.models import ContactMessage, Thread, ThreadEntry
from belong_mail.contact.service import ALPHABET
from belong_mail.db import now
from belong_mail.sealing import CannotUnlock, Receipt, Sealer

CODE = 20
"""Letters: 98 bits."""
AGE = timedelta(days=30)
"""After the last message a thread goes."""
KEY, PLACE = "contact_threads.receipt_key", "contact_entries.sealed"


class NoThread(Exception):
    """The code is wrong, or its thread is over."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a thread, as the code opens it."""

    words: str
    is_office: bool
    at: datetime


def new_code() -> str:
    """Make a code for people to copy: five fours, none of whose letters looks like another."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(CODE))
    return "-".join(code[start : start + 4] for start in range(0, CODE, 4))


def begin(session: Session, message: ContactMessage, code: str, words: str) -> None:
    """Keep what a person wrote also for the code, which is stored nowhere."""
    thread = Thread(reference=message.reference, receipt_key=_receipt(code).public)
    session.add(thread)
    session.flush()
    message.thread_id = thread.id
    add(session, thread, words, is_office=False)


def find(session: Session, code: str) -> Thread:
    """Find the thread of a code, typed in any case and spacing, or raise NoThread."""
    found = select(Thread).where(
        Thread.receipt_key == _receipt(code).public, Thread.last_at > now() - AGE
    )
    thread = session.scalar(found)
    if thread is None:
        raise NoThread
    return thread


def add(session: Session, thread: Thread, words: str, *, is_office: bool) -> None:
    """Seal words so that the thread's code opens them; the thread lives on from now."""
    sealer = Sealer((keys.encode(thread.receipt_key),))
    sealed = sealer.seal(words.encode(), f"{PLACE}/{thread.reference}")
    thread.last_at = now()
    session.add(ThreadEntry(thread_id=thread.id, is_office=is_office, sealed=sealed))
    session.flush()


def read(session: Session, thread: Thread, code: str) -> list[Said]:
    """Open a thread, oldest first. What was sealed for another place is left out."""
    receipt = _receipt(code)
    said = []
    for entry in entries(session, thread):
        try:
            words = receipt.open(entry.sealed, f"{PLACE}/{thread.reference}").decode()
        except CannotUnlock:
            continue
        said.append(Said(words, entry.is_office, entry.written_at))
    return said


def entries(session: Session, thread: Thread) -> list[ThreadEntry]:
    found = select(ThreadEntry).where(ThreadEntry.thread_id == thread.id)
    return list(session.scalars(found.order_by(ThreadEntry.id)))


def _receipt(code: str) -> Receipt:
    return Receipt("".join(c for c in code.upper() if c.isalnum()), KEY)
