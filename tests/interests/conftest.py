"""What these tests share: everybody on one stage."""

import pytest

from belong_mail.parts import Parts
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.people import Visitor
from tests.servers.smtp import Server
from tests.stage import Stage


@pytest.fixture
def stage(visitor: Visitor, worker: Worker, relay: Server, parts: Parts, keyring: Keyring) -> Stage:
    return Stage(visitor, worker, relay, parts, keyring)
