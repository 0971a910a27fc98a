"""An issue to many through a relay that bounces a fifth later, while workers are killed."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from signal import SIGTERM

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services
from belong_mail.delivery.models import Delivery
from belong_mail.inbound.models import InboundDigest, InboundMailbox
from belong_mail.members.models import Subscription
from belong_mail.members.wrapped_fields import address_of
from belong_mail.newsletters import service as newsletters
from belong_mail.ops import demo_data
from tests.bounces.scenario import VILLAGE, pass_days
from tests.factories import group_named, queue_issue
from tests.faults import product
from tests.faults.audit import AT_WORK
from tests.faults.product import Command
from tests.intake.inbox import Inbox
from tests.relays.fates import GREYLISTED, Person
from tests.relays.late import LateRelay
from tests.servers.smtp import Server

HOUR = 1 / 24
# Seconds between two looks at how far a worker is.
LOOK_SECONDS = 0.02
# Within so many seconds more a worker is killed: in the middle of whatever it does then.
LATER_SECONDS = 0.1
Count = Callable[[], int]
Is = Callable[[], bool]


@dataclass
class BounceRun:
    """Workers, one after the other."""

    services: Services
    keyring: Keyring
    settings: Mapping[str, str]
    relay: LateRelay
    hop: Server
    inbox: Inbox
    members: list[Person]
    # For how long one step may take.
    patience: float
    killed: int = 0

    @property
    def dead(self) -> list[Person]:
        return [each for each in self.members if each.is_dead]

    def enter(self) -> None:
        """Make everybody a member."""
        with self.services.writing.begin() as session:
            group, at = group_named(session, VILLAGE), now()
            rows = [
                demo_data._member(
                    self.keyring, group, each.address, demo_data.NAMES[each.number % 10]
                )
                | {"confirmed_at": at}
                for each in self.members
            ]
            session.execute(insert(Subscription), rows)

    def queue(self) -> str:
        """Queue an issue to everybody who is a member; return its id."""
        with self.services.writing.begin() as session:
            return queue_issue(session, VILLAGE).public_id

    def round(self, kills: int) -> str:
        """Send an issue and read what comes back an hour later; return the issue's id.

        So many workers are killed while they send, and as many while they read.
        """
        self._teach()
        issue = self.queue()
        has_sent = partial(self._has_sent, issue)
        self._work(kills, len(self.members), partial(self._sent, issue), has_sent)
        self._wait(self._has_hop_all, "The living have no copy")
        self._pass_hour()
        before, put = self.taken(), self.relay.put
        self.relay.release()
        self._work(
            kills, len(self.dead), lambda: self.taken() - before, self._has_read,
            has_come=lambda: self.relay.put - put,
        )  # fmt: skip
        self.relay.hold_again()
        return issue

    def read(self) -> None:
        """Let a worker read what is in the mailbox now."""
        self.relay.wait_until_empty(self.patience)
        product.drain(self.settings, self.patience)

    def books(self, issue: str) -> dict[str, int]:
        with self.services.reading.begin() as session:
            found = newsletters.find(session, issue)
            assert found is not None
            return newsletters.report(session, found)

    def active(self) -> set[str]:
        """Return the addresses of those who are members."""
        with self.services.reading.begin() as session:
            listed = session.scalars(select(Subscription).where(Subscription.is_active))
            return {address_of(self.keyring, each) for each in listed}

    def deliveries(self, session: Session, issue: str) -> Iterator[tuple[str, Delivery]]:
        """Yield an issue's deliveries, by the address that each was for."""
        found = newsletters.find(session, issue)
        assert found is not None
        told = select(Delivery, Subscription).join(
            Subscription, Subscription.id == Delivery.subscription_id
        )
        for delivery, member in session.execute(told.where(Delivery.newsletter_id == found.id)):
            yield address_of(self.keyring, member), delivery

    def leftovers(self) -> dict[str, int]:
        """Count what should not be there when all is done."""
        at = now()
        counts = {
            "jobs": select(func.count(Job.id)),
            "claimed": select(func.count(Delivery.id)).where(Delivery.claimed_by.is_not(None)),
            "leased": select(func.count(InboundMailbox.id)).where(InboundMailbox.leased_until > at),
        }
        with self.services.reading.begin() as session:
            found = {name: session.scalar(query) or 0 for name, query in counts.items()}
        return {name: number for name, number in found.items() if number}

    def _teach(self) -> None:
        self.hop.usual()
        self.hop.accepted.clear()
        for each in self.members:
            if each.answer:
                self.hop.always(f"RCPT {each.hop}", each.answer)
            elif each.fate == GREYLISTED:
                self.hop.script(f"RCPT {each.address}", "450 4.7.1 Greylisted, please come again")

    def _work(
        self, kills: int, number: int, done: Count, is_over: Is, has_come: Count | None = None
    ) -> None:
        """Kill workers at even distances of what is to be done; let the last one end well.

        Each begins when its part has come: a worker looks into the mailbox once a minute.
        """
        for nth in range(1, kills + 1):
            target = nth * number // (kills + 1)
            if has_come is not None:
                self._wait(partial(_is_reached, has_come, target), "Nothing comes back")
            with product.running(self.settings, "worker") as worker:
                self._wait(partial(_is_reached, done, target), "A worker does nothing", worker)
                time.sleep(random.uniform(0, LATER_SECONDS))
                worker.kill()
                assert worker.wait().code == -9
            self.killed += 1
        if has_come is not None:
            self.relay.wait_until_empty(self.patience)
        with product.running(self.settings, "worker") as worker:
            self._wait(is_over, "The last worker does not get done", worker)
            worker.signal(SIGTERM)
            assert worker.wait().code == 0
        product.drain(self.settings, self.patience)

    def _pass_hour(self) -> None:
        """Also for a report that came before its email was known to have left."""
        pass_days(self.services, HOUR)
        with self.services.writing.begin() as session:
            for job in session.scalars(select(Job)):
                job.due_at -= timedelta(days=HOUR)

    def _sent(self, issue: str) -> int:
        books = self.books(issue)
        return books["recipients"] - sum(books[state] for state in AT_WORK)

    def _has_sent(self, issue: str) -> bool:
        return self._sent(issue) == len(self.members)

    def _has_hop_all(self) -> bool:
        alive = sum(not each.is_dead for each in self.members)
        return len({one.recipient for one in self.hop.accepted}) >= alive

    def _has_read(self) -> bool:
        if self.relay.queued or self._jobs():
            return False
        return self.taken() == len(self.relay.reports())

    def taken(self) -> int:
        """Count the messages that were taken in, each once."""
        with self.services.reading.begin() as session:
            return session.scalar(select(func.count(InboundDigest.id))) or 0

    def _jobs(self) -> int:
        with self.services.reading.begin() as session:
            return session.scalar(select(func.count(Job.id))) or 0

    def _wait(self, is_over: Is, words: str, worker: Command | None = None) -> None:
        until = time.monotonic() + self.patience
        while not is_over():
            said = "" if worker is None else worker.said()[-2000:]
            assert worker is None or worker.is_running, said
            if time.monotonic() > until:
                raise TimeoutError(f"{words}: {self._standing()}. {said}")
            time.sleep(LOOK_SECONDS)

    def _standing(self) -> str:
        return f"{self.relay.queued} queued, {self.taken()} read, {self._jobs()} jobs"


def _is_reached(done: Count, target: int) -> bool:
    return done() >= target
