"""What the tests about meetings share: a stage, and a signed-in lead of The Village."""

import pytest
from flask import Flask

from belong_mail.parts import Parts
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.people import Visitor
from tests.seats import sign_in
from tests.servers.smtp import Server
from tests.stage import Stage


@pytest.fixture
def stage(visitor: Visitor, worker: Worker, relay: Server, parts: Parts, keyring: Keyring) -> Stage:
    return Stage(visitor, worker, relay, parts, keyring)


@pytest.fixture
def lead(app: Flask, parts: Parts, keyring: Keyring, worker: Worker, relay: Server) -> Visitor:
    return sign_in(app, parts, keyring, worker, relay, "the-village")


@pytest.fixture
def other_lead(
    app: Flask, parts: Parts, keyring: Keyring, worker: Worker, relay: Server
) -> Visitor:
    return sign_in(app, parts, keyring, worker, relay, "asian")
