"""A lead with a passkey."""

import pytest
from flask import Flask

from belong_mail.worker.loop import Worker
from tests.accounts.passkeys import PAGE, add
from tests.browser_client import Visitor
from tests.servers.authenticator import Authenticator


@pytest.fixture
def device() -> Authenticator:
    return Authenticator()


@pytest.fixture
def owner(lead: Visitor, device: Authenticator, worker: Worker) -> Visitor:
    assert add(lead, device).location == f"{PAGE}?done=added"
    worker.drain()
    return lead


@pytest.fixture
def phone(app: Flask) -> Visitor:
    return Visitor(app.test_client())
