"""Somebody of the office, who leads no group, and a lead of The Village."""

import pytest
from flask import Flask

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor
from tests.clients import sign_in_office
from tests.scenario import Scenario
from tests.servers.smtp import Server

OFFICE = "office@dpsk12.org"


@pytest.fixture
def office(app: Flask, keyring: Keyring) -> Visitor:
    return sign_in_office(app, keyring, OFFICE)


@pytest.fixture
def scenario(
    visitor: Visitor, worker: Worker, relay: Server, services: Services, keyring: Keyring
) -> Scenario:
    return Scenario(visitor, worker, relay, services, keyring)
