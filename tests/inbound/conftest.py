"""Shared by tests of returns: members of The Village whose mail may come back."""

import pytest

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.inbound.scenario import BounceScenario
from tests.servers.smtp import Server


@pytest.fixture
def scenario(worker: Worker, relay: Server, services: Services, keyring: Keyring) -> BounceScenario:
    return BounceScenario(worker, relay, services, keyring)
