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
    """A lead whose device has a passkey here."""
    assert add(lead, device).location == f"{PAGE}?done=added"
    worker.drain()
    return lead


@pytest.fixture
def phone(app: Flask) -> Visitor:
    """A browser in which nobody has signed in."""
    return Visitor(app.test_client())
