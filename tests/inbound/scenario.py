"""A group whose mail may come back, and days that go by."""

from datetime import datetime, timedelta

from sqlalchemy import func, select, update

from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import WorkerLimit
from belong_mail.delivery.models import Delivery
from belong_mail.inbound import pipe
from belong_mail.inbound.models import InboundMailbox
from belong_mail.members.models import Subscription
from tests.database import execute, query
from tests.delivery.factories import books
from tests.factories import make_member, queue_issue
from tests.inbound.mail import UNKNOWN, bounce, hand_back
from tests.scenario import Scenario
from tests.servers.smtp import Accepted

ADA = "ada@dpsk12.org"
VILLAGE = "the-village"


class BounceScenario(Scenario):
    def add(self, *addresses: str, slug: str = VILLAGE) -> None:
        with self.services.writing.begin() as session:
            for address in addresses:
                make_member(session, self.keyring, address, slug)

    def add_many(self, number: int) -> None:
        """Make so many members: member0@dpsk12.org and so on."""
        self.add(*(f"member{each}@dpsk12.org" for each in range(number)))

    def issue(self, slug: str = VILLAGE) -> int:
        """Send an issue; return its id."""
        with self.services.writing.begin() as session:
            issue = queue_issue(session, slug).id
        self.worker.drain()
        return issue

    def one_copy(self, *addresses: str) -> tuple[int, str]:
        """Make Ada and others members, and send an issue; return its id and her return path."""
        self.add(ADA, *addresses)
        return self.issue(), self.copies()[-1].return_path

    def books(self, issue: int) -> dict[str, int]:
        return books(self.services, issue)

    def copies(self, address: str = ADA) -> list[Accepted]:
        return [each for each in self.relay.accepted if each.recipient == address]

    def take(self, return_path: str, message: bytes) -> None:
        """Take in a message, and let the worker read it."""
        hand_back(self.services, return_path, message)
        self.worker.drain()

    def send_back(self, address: str = ADA, why: tuple[str, str] = UNKNOWN) -> None:
        """Let the last mail to an address come back."""
        path = self.copies(address)[-1].return_path
        self.take(path, bounce(path, address, why))

    def come_back(self, *days: float, why: tuple[str, str] = UNKNOWN, address: str = ADA) -> None:
        """Send an issue on each day, counted from the one before, and let it come back."""
        for day in days:
            self.pass_days(day)
            self.issue()
            self.send_back(address, why)

    def pass_days(self, days: float) -> None:
        """Let what has happened have happened earlier."""
        ago = timedelta(days=days)
        with self.services.writing.begin() as session:
            for delivery in session.query(Delivery):
                if delivery.finished_at:
                    delivery.finished_at -= ago
            for member in session.query(Subscription):
                if member.ended_at:
                    member.ended_at -= ago
            earlier = WorkerLimit.used_until - ago.total_seconds()
            session.execute(update(WorkerLimit).values(used_until=earlier))

    def at_one_moment(self) -> None:
        """Let the last mails have left in one transaction, as those of one turn do."""
        at = now()
        recent = update(Delivery).where(Delivery.finished_at > at - timedelta(days=1))
        execute(self.services, recent.values(finished_at=at))

    def handed_over(self) -> dict[int, datetime | None]:
        """Return when the relay took each delivery."""
        with self.services.reading.begin() as session:
            return {each.id: each.finished_at for each in session.query(Delivery)}


def poll(worker) -> None:
    """Let a worker poll the mailbox now, and do all that is due."""
    worker._intake.poll_at = 0.0
    worker.drain()


def last_poll(services) -> InboundMailbox:
    """Return the row that says how the mailbox was polled last."""
    [last] = query(services, select(InboundMailbox))
    return last


def jobs_of(session) -> int:
    """Count the messages that came back and wait for the worker."""
    waiting = select(func.count(Job.id)).where(Job.kind == pipe.RETURNED)
    return session.scalar(waiting) or 0
