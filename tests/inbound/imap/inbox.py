"""What tests of the intake let a worker do, and read of it."""

from sqlalchemy import func, select

from belong_mail.core.jobs import Job
from belong_mail.inbound import pipe


def poll(worker) -> None:
    """Let a worker poll the mailbox now, and do all that is due."""
    assert worker._intake is not None
    worker._intake.poll_at = 0.0
    worker.drain()


def jobs_of(session) -> int:
    """Count the messages that came back and wait for the worker."""
    waiting = select(func.count(Job.id)).where(Job.kind == pipe.RETURNED)
    return session.scalar(waiting) or 0
