"""A signed-in lead of The Village."""

import pytest
from flask import Flask

from belong_mail.parts import Parts
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.worker import Worker
from tests.people import Visitor
from tests.seats import sign_in
from tests.servers.smtp import Server


@pytest.fixture
def settings() -> dict[str, str]:
    return {"BELONG_COPY_TO_OFFICE": "yes"}


@pytest.fixture
def lead(app: Flask, parts: Parts, keyring: Keyring, worker: Worker, relay: Server) -> Visitor:
    return sign_in(app, parts, keyring, worker, relay, "the-village")


@pytest.fixture
def other_lead(
    app: Flask, parts: Parts, keyring: Keyring, worker: Worker, relay: Server
) -> Visitor:
    return sign_in(app, parts, keyring, worker, relay, "asian")
