"""Somebody of the office, who leads no group, and a lead of The Village."""

import pytest
from flask import Flask

from belong_mail.accounts import invitations
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor, link_to
from tests.scenario import Scenario
from tests.servers.smtp import Server

OFFICE = "office@dpsk12.org"


@pytest.fixture
def office(
    app: Flask, services: Services, keyring: Keyring, worker: Worker, relay: Server
) -> Visitor:
    with services.writing.begin() as session:
        invitations.invite_office(session, keyring.opener, keyring.index, OFFICE)
    visitor = Visitor(app.test_client())
    visitor.send("/sign-in", email=OFFICE)
    worker.drain()
    visitor.press(link_to(relay.to(OFFICE)[-1], "sign-in"))
    return visitor


@pytest.fixture
def scenario(
    visitor: Visitor, worker: Worker, relay: Server, services: Services, keyring: Keyring
) -> Scenario:
    return Scenario(visitor, worker, relay, services, keyring)
