"""A signed-in lead of The Village."""

import pytest
from flask import Flask

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor
from tests.clients import sign_in
from tests.servers.smtp import Server


@pytest.fixture
def lead(
    app: Flask, services: Services, keyring: Keyring, worker: Worker, relay: Server
) -> Visitor:
    return sign_in(app, services, keyring, worker, relay, "the-village")


@pytest.fixture
def other_lead(
    app: Flask, services: Services, keyring: Keyring, worker: Worker, relay: Server
) -> Visitor:
    return sign_in(app, services, keyring, worker, relay, "asian")
