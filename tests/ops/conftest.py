"""Workers with keys of a test’s own, and an issue of many copies."""

from collections.abc import Callable, Iterator

import pytest

from belong_mail.core.decryption import Keyring
from belong_mail.worker.loop import Worker
from tests.delivery.factories import queue
from tests.ops.copies import MANY
from tests.processes import run


@pytest.fixture
def worker_with(services) -> Iterator[Callable[[Keyring], Worker]]:
    made: list[Worker] = []

    def make(keyring) -> Worker:
        made.append(Worker(services, keyring))
        return made[-1]

    yield make
    for each in made:
        each.engine.close()


@pytest.fixture
def long_issue(environment, services) -> int:
    """Return an issue of many copies; this host is known to the database."""
    assert run(environment, "worker", "--drain").returncode == 0
    return queue(services, MANY)
