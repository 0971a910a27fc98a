"""Shared by these tests: one scenario."""

import pytest

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor
from tests.scenario import Scenario
from tests.servers.smtp import Server


@pytest.fixture
def scenario(
    visitor: Visitor, worker: Worker, relay: Server, services: Services, keyring: Keyring
) -> Scenario:
    return Scenario(visitor, worker, relay, services, keyring)
