"""Somebody who leads a group and works for the office."""

import pytest
from flask import Flask

from belong_mail.accounts import invitations
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from tests.browser_client import Visitor
from tests.clients import sign_in

LEAD = "lead-of-asian@dpsk12.org"


@pytest.fixture
def lead(app: Flask, keyring: Keyring) -> Visitor:
    return sign_in(app, keyring, "asian")


@pytest.fixture
def office(lead: Visitor, services: Services, keyring: Keyring) -> Visitor:
    with services.writing.begin() as session:
        invitations.invite_office(session, keyring.opener, keyring.index, LEAD)
    return lead
