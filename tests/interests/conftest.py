"""What these tests share: everybody on one stage."""

import pytest

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor
from tests.scenario import Stage
from tests.servers.smtp import Server


@pytest.fixture
def stage(
    visitor: Visitor, worker: Worker, relay: Server, services: Services, keyring: Keyring
) -> Stage:
    return Stage(visitor, worker, relay, services, keyring)
