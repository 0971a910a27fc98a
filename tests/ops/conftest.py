"""Workers with keys of a test's own."""

from collections.abc import Callable, Iterator

import pytest

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker, make_worker


@pytest.fixture
def worker_with(services: Services) -> Iterator[Callable[[Keyring], Worker]]:
    made: list[Worker] = []

    def make(keyring: Keyring) -> Worker:
        made.append(make_worker(services, keyring))
        return made[-1]

    yield make
    for each in made:
        each.engine.close()
