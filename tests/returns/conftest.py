"""What tests of returns share: members of The Village whose mail may come back."""

import pytest

from belong_mail.parts import Parts
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.returns.village import Village
from tests.servers.smtp import Server


@pytest.fixture
def village(worker: Worker, relay: Server, parts: Parts, keyring: Keyring) -> Village:
    return Village(worker, relay, parts, keyring)
