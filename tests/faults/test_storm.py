"""Kills at random moments of an issue to 1,000 members at night, and with faults each time."""

import os
import random
import secrets
import time
from dataclasses import dataclass

import pytest

from belong_mail.delivery.models import UNFINISHED
from tests.faults.scene import IN_HAND
from tests.markers import night
from tests.processes import SECONDS, Forked
from tests.servers.actions import Action, drop, reset, write

# 20 at night, 40 in that of `.ci/run`, any number by `python -m tests.faults`.
KILLS = int(os.environ.get("KILLS", "20"))
DATABASES = 2
SEED = int(os.environ.get("SEED", secrets.randbelow(10**6)))
VERBS = ("MAIL", "RCPT", "DATA", "BODY", "DOT")
FAULTS: tuple[Action | str, ...] = (
    drop(), drop(b"25"), drop(b"250 2.0"), reset, write(b"hello\r\n"),
    "421 4.3.2 Going down", "451 4.3.0 Later", "450 4.2.1 Later",
)  # fmt: skip
# Workers a fault or kill that was planned: each may end one.
ROUNDS = 10


@dataclass
class Storm:
    """A plan; `seed` repeats the choices, if not the moments."""

    seed: int
    recipients: int = 1000
    kills: int = 20
    # Share of transactions in which something goes wrong at some verb.
    share_of_faults: float = 0.0
    killed: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def blow(self, scene) -> list[str]:
        """Return what is wrong in the end; an empty list is what a test wants to see."""
        issue = scene.queue(self.recipients)
        self._script(scene)
        scene.relay.delay = 0.02
        with scene.watched(issue) as wrong:
            for _ in range(self.kills):
                self._send(scene)
        scene.relay.delay = 0.0
        self._end(scene, issue)
        # A reset may tear out a good answer before it, and a break in the body may hide a dot.
        torn = int(self.recipients * self.share_of_faults * 2)
        breaks = scene.relay.breaks + self.killed * IN_HAND + torn
        wrong += scene.complaints(issue, breaks=breaks)
        return wrong

    def _send(self, scene) -> None:
        """Start a worker, and kill it after some messages, if it has not ended by then."""
        before = len(scene.relay.accepted)
        share = self._chance.randint(0, self.recipients // self.kills)
        with scene.worker("--drain") as worker:
            _wait_until(scene, before + share, worker)
            time.sleep(self._chance.uniform(0, 0.01))
            worker.kill()
            code = worker.wait(SECONDS)
        self.killed += code != 0
        scene.pass_time()

    def _end(self, scene, issue: str) -> None:
        """Let workers work until all is at rest; each may be stopped by one of the faults left."""
        for _ in range(ROUNDS + int(2 * self.recipients * self.share_of_faults)):
            scene.pass_time()
            scene.finish()
            books = scene.books(issue)
            if not sum(books[state] for state in UNFINISHED):
                return

    def _script(self, scene) -> None:
        """Put faults among good answers."""
        if not self.share_of_faults:
            return
        plans: dict[str, list[Action | str | None]] = {verb: [] for verb in VERBS}
        for _ in range(self.recipients):
            unlucky = self._chance.choice(VERBS)
            is_faulty = self._chance.random() < self.share_of_faults
            for verb, plan in plans.items():
                plan.append(self._fault(verb) if is_faulty and verb == unlucky else None)
        for verb, plan in plans.items():
            scene.relay.script(verb, *plan)

    def _fault(self, verb: str) -> Action | str:
        ways: tuple[Action | str, ...] = (drop(), reset) if verb == "BODY" else FAULTS
        return self._chance.choice(ways)


def _wait_until(scene, number: int, worker: Forked) -> None:
    until = time.monotonic() + SECONDS
    while len(scene.relay.accepted) < number and worker.poll() is None and time.monotonic() < until:
        time.sleep(0.002)


def blow(storm, scene) -> None:
    wrong = storm.blow(scene)
    assert wrong == [], f"Repeat it: python -m tests.faults {KILLS} --seed {SEED}"


@night("faults")
@pytest.mark.timeout(900)
def test_kills_at_random_moments_lose_nothing(scene):
    storm = Storm(SEED, kills=KILLS // DATABASES)
    blow(storm, scene)
    assert storm.killed > storm.kills / 2


@pytest.mark.timeout(900)
def test_kills_and_faults_at_random_moments_lose_nothing(scene):
    blow(Storm(SEED, recipients=200, kills=5, share_of_faults=0.05), scene)
