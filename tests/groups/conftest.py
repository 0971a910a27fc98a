"""Somebody who leads a group."""

import pytest
from flask import Flask

from belong_mail.core.decryption import Keyring
from tests.browser_client import Visitor
from tests.clients import sign_in

LEAD = "lead-of-asian@dpsk12.org"


@pytest.fixture
def lead(app: Flask, keyring: Keyring) -> Visitor:
    return sign_in(app, keyring, "asian")
