"""What the office sees of a thread: that it is there, and when somebody wrote; never the words."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account
from belong_mail.accounts.service import NotYours
from belong_mail.contact import receipts
from belong_mail.contact.models import Thread
from belong_mail.db import now


@dataclass(frozen=True, slots=True)
class Standing:
    """A thread as the office knows it: who wrote when, oldest first."""

    reference: str
    said: list[tuple[datetime, bool]]
    """The time, and whether it was the office."""
    until: datetime

    @property
    def is_waiting(self) -> bool:
        return not self.said[-1][1]


def threads(session: Session, account: Account) -> list[Standing]:
    """List the threads that are open, those that wait for an answer first. Raises NotYours."""
    _allow(account)
    found = select(Thread).where(Thread.last_at > now() - receipts.AGE).order_by(Thread.last_at)
    standings = [standing(session, thread) for thread in session.scalars(found)]
    return sorted(standings, key=lambda each: not each.is_waiting)


def find(session: Session, account: Account, reference: str) -> Thread:
    """Find an open thread for somebody who answers for the office, or raise NotYours."""
    _allow(account)
    found = select(Thread).where(
        Thread.reference == reference, Thread.last_at > now() - receipts.AGE
    )
    thread = session.scalar(found)
    if thread is None:
        raise NotYours
    return thread


def standing(session: Session, thread: Thread) -> Standing:
    said = [(each.written_at, each.is_office) for each in receipts.entries(session, thread)]
    return Standing(thread.reference, said, thread.last_at + receipts.AGE)


def _allow(account: Account) -> None:
    if not account.is_office:
        raise NotYours
