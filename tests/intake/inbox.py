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

    def message_ids(self, folder: str = "INBOX") -> list[str]:
        """Return the Message-ID of each message of a folder, "" where one has none."""
        with self.imap.as_user(self.user) as client:
            client.select(f'"{folder}"', readonly=True)
            _, answers = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
        heads = [each[1] for each in answers if isinstance(each, tuple)]
        return [bytes(each).decode().partition(":")[2].strip() for each in heads]
