"""The office's queries: groups, and the state of threads, whose messages it cannot read."""

from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from belong_mail.accounts.service import NotFound
from belong_mail.contact import service as contact
from belong_mail.contact import threads as receipts
from belong_mail.contact.models import Thread, ThreadEntry
from belong_mail.core.db import ago, required
from belong_mail.core.retention import THREAD_MAX_AGE
from belong_mail.groups import service as group_service
from belong_mail.groups.models import Group

# A thread without a message was left by an intruder.
_HAS_MESSAGE = exists().where(ThreadEntry.thread_id == Thread.id)
_IS_RECENT = Thread.last_at > ago(THREAD_MAX_AGE)
_OPEN_THREADS = select(Thread).where(_IS_RECENT, _HAS_MESSAGE).order_by(Thread.last_at)


def threads(session: Session) -> list[dict[str, Any]]:
    """List the open threads by age."""
    return [thread_status(session, thread) for thread in session.scalars(_OPEN_THREADS)]


def find(session: Session, reference: str) -> Thread:
    """Find an open thread. Raises NotFound."""
    found = _OPEN_THREADS.where(Thread.reference == reference)
    return required(session.scalar(found), NotFound)


def thread_status(session: Session, thread: Thread) -> dict[str, Any]:
    """Return the state of a thread, without its messages; the topic is an English label or ""."""
    last = receipts.thread_entries(session, thread)[-1]
    return {
        "reference": thread.reference,
        "topic": contact.TOPICS.get(thread.topic, ""),
        "last_at": last.written_at,
        "is_waiting": not last.is_office,
        "until": thread.last_at + THREAD_MAX_AGE,
    }


def find_group(session: Session, slug: str) -> Group:
    """Find a group. Raises NotFound, and GroupHasEnded for a retired one."""
    return required(group_service.find_unless_ended(session, slug), NotFound)
