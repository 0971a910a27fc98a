"""Somebody who leads a group."""

import pytest

from tests.browser_client import Visitor
from tests.clients import sign_in

LEAD = "lead-of-asian@dpsk12.org"


@pytest.fixture
def lead(app, keyring) -> Visitor:
    return sign_in(app, keyring, "asian")
