"""A mailbox in Dovecot, as its tests hold it."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from belong_mail.core.jobs import Job
from belong_mail.inbound import pipe
from belong_mail.worker.loop import Worker
from tests.servers.dovecot import Dovecot

READ = "Belong read"


def poll(worker: Worker) -> None:
    """Let a worker poll the mailbox now, and do all that is due."""
    assert worker._intake is not None
    worker._intake.poll_at = 0.0
    worker.drain()


def jobs_of(session: Session) -> int:
    """Count the messages that came back and wait for the worker."""
    waiting = select(func.count(Job.id)).where(Job.kind == pipe.RETURNED)
    return session.scalar(waiting) or 0


@dataclass(frozen=True)
class Inbox:
    imap: Dovecot
    user: str

    def put(self, *messages: bytes, folder: str = "INBOX") -> None:
        self.imap.put(self.user, *messages, folder=folder)

    def counts(self) -> tuple[int, int]:
        """Count what waits, and what was read."""
        return self.imap.count(self.user), self.imap.count(self.user, READ)
