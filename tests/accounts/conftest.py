"""A lead with a passkey."""

import pytest

from tests.accounts.passkeys import PAGE, add
from tests.browser_client import Visitor
from tests.servers.authenticator import Authenticator


@pytest.fixture
def device() -> Authenticator:
    return Authenticator()


@pytest.fixture
def owner(lead, device: Authenticator, worker) -> Visitor:
    assert add(lead, device).location == f"{PAGE}?done=added"
    worker.drain()
    return lead


@pytest.fixture
def phone(app) -> Visitor:
    return Visitor(app.test_client())
