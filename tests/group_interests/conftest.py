"""The group that writes its charter: a lead, members, and somebody to help."""

import pytest
from flask import Flask

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor
from tests.clients import sign_in
from tests.group_interests.charter import SLUG, Helpers
from tests.servers.smtp import Server


@pytest.fixture
def scenario(
    visitor: Visitor, worker: Worker, relay: Server, services: Services, keyring: Keyring
) -> Helpers:
    return Helpers(visitor, worker, relay, services, keyring)


@pytest.fixture
def lead(
    app: Flask, services: Services, keyring: Keyring, worker: Worker, relay: Server
) -> Visitor:
    return sign_in(app, services, keyring, worker, relay, SLUG)
