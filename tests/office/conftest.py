"""Somebody of the office, who leads no group, and a lead of The Village."""

import pytest

from tests.browser_client import Visitor
from tests.clients import sign_in_office

OFFICE = "office@dpsk12.org"


@pytest.fixture
def office(app, keyring) -> Visitor:
    return sign_in_office(app, keyring, OFFICE)
