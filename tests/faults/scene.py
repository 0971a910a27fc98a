"""A relay, a database and an issue: what a test of faults sets up, breaks and audits."""

import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services
from belong_mail.delivery.models import Delivery
from belong_mail.newsletters import service as newsletters
from belong_mail.ops.demo_data import add_members
from belong_mail.worker.loop import Worker
from tests.delivery.factories import count_faults
from tests.factories import group_named, make_members, queue_at_once
from tests.faults.audit import Copy, audit, imbalance
from tests.processes import SECONDS, Forked, drain, run, running
from tests.servers.smtp import Server

CONNECTIONS = 5
# Deliveries that one kill may leave uncertain: an answer on each connection, and two being written
# down.
IN_HAND = CONNECTIONS + 2
# From here on members are made in bulk, and their addresses are not member0@dpsk12.org …
MANY = 100


@dataclass
class Scene:
    relay: Server
    settings: Mapping[str, str]
    services: Services
    keyring: Keyring
    # Recipients of each issue, by its id.
    issues: dict[str, int] = field(default_factory=dict)

    def queue(self, members: int, slug: str = "the-village") -> str:
        """Queue an issue for so many new members; return its id."""
        worker = Worker(self.services, self.keyring)
        with self.services.writing.begin() as session:
            if members < MANY:
                make_members(session, self.keyring, members, slug)
            else:
                add_members(session, self.keyring, group_named(session, slug), members)
            issue = queue_at_once(worker, session, slug).public_id
        worker.engine.close()
        self.issues[issue] = members
        return issue

    def worker(self, *arguments: str) -> AbstractContextManager[Forked]:
        return running(self.settings, "worker", *arguments)

    def kill_worker(self, moment: str, nth: int = 1, *arguments: str) -> int:
        """Kill -9 a worker when the relay reads a verb, or has answered, for the n-th time.

        Returns its exit code; the relay is well again.
        """
        has_begun, calls = threading.Event(), itertools.count(1)

        def kill(_moment: object) -> None:
            if next(calls) == nth and has_begun.wait(SECONDS):
                with suppress(ProcessLookupError):
                    worker.kill()

        if moment == "BODY":
            self.relay.script(moment, *[kill] * nth)
        else:
            self.relay.on(moment, kill)
        with self.worker(*arguments) as worker:
            has_begun.set()
            code = worker.wait()
        self.relay.usual()
        return code

    def on_another_host(self) -> "Scene":
        """Return the same scene as a worker with a folder of its own, thus a journal, sees it.

        The hold notices a host that nobody introduced; an operator lets it in.
        """
        folder = f"{self.settings['BELONG_STATE_FOLDER']}-elsewhere"
        settings = {**self.settings, "BELONG_STATE_FOLDER": folder}
        assert run(settings, "hold", "release").returncode == 0
        return replace(self, settings=settings)

    def drain(self) -> dict[str, int]:
        """Let a new worker of this process do all that is due; return what waits for later.

        Where nothing is killed it does what a process of its own does, and costs a tenth.
        """
        worker = Worker(self.services, self.keyring)
        try:
            worker.drain()
            return worker.waiting()
        finally:
            worker.engine.close()

    def finish(self) -> str:
        """Let a new worker's process do all that is due; return what it says waits for later."""
        return drain(self.settings)

    def books(self, issue: str) -> dict[str, int]:
        """Read the books, as a lead's page and `newsletter report` do."""
        with self.services.reading.begin() as session:
            found = newsletters.find(session, issue)
            assert found is not None
            return newsletters.report(session, found)

    def filled(self, issue: str) -> dict[str, int]:
        return {name: number for name, number in self.books(issue).items() if number}

    def pass_time(self) -> None:
        """Let the time come for all that waits for it, in its order."""
        then = datetime.now(UTC)
        with self.services.writing.begin() as session:
            later = select(Delivery).where(Delivery.due_at > then).order_by(Delivery.due_at.desc())
            for number, delivery in enumerate(session.scalars(later), 1):
                delivery.due_at = then - timedelta(seconds=number)
            session.execute(update(Job).where(Job.due_at > then).values(due_at=then))

    def copies(self) -> list[Copy]:
        return [Copy.of(each) for each in [*self.relay.accepted]]

    def complaints(self, issue: str, *, breaks: int = 0) -> list[str]:
        """Audit the only issue of a scene; an empty list is what a test wants to see."""
        with self.services.reading.begin() as session:
            miscounted = count_faults(session)
        wrong = audit(self.books(issue), self.copies(), self.issues[issue], breaks) + miscounted
        return wrong + self.relay.faults

    @contextmanager
    def watched(self, issue: str) -> Iterator[list[str]]:
        """Read the books over and over within the block; yield what is wrong."""
        wrong: list[str] = []
        has_read, is_over = threading.Event(), threading.Event()

        def watch() -> None:
            while not is_over.wait(0.02):
                wrong.extend(imbalance(self.books(issue), self.issues[issue]))
                has_read.set()

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield wrong
        finally:
            has_read.wait(SECONDS)
            is_over.set()
            watcher.join()
