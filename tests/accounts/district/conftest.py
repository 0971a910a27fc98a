"""An identity provider, and a lead who has linked the district's sign-in."""

from collections.abc import Iterator

import pytest
from flask import Flask

from belong_mail.accounts.identity_views import EXTENSION
from tests.accounts.district import trips
from tests.browser_client import Visitor
from tests.clients import sign_in as sign_in_by_link
from tests.servers.identity_provider import Provider, identity_provider
from tests.waiting import SECONDS

LEAD = "lead-of-the-village@dpsk12.org"


@pytest.fixture(scope="session")
def running_provider() -> Iterator[Provider]:
    with identity_provider() as provider:
        yield provider


@pytest.fixture
def provider(running_provider: Provider) -> Provider:
    """The provider as it begins, honest and quick."""
    running_provider.reset()
    running_provider.set(redirect_uri=f"http://localhost:5000{trips.BACK}")
    return running_provider


@pytest.fixture
def settings(provider: Provider) -> dict[str, str]:
    return provider.settings()


@pytest.fixture
def app(app: Flask) -> Flask:
    """The app as it is, but that it waits for a provider on a busy machine."""
    app.extensions[EXTENSION].call_seconds = SECONDS
    return app


@pytest.fixture
def lead(app, keyring) -> Visitor:
    return sign_in_by_link(app, keyring, "the-village")


@pytest.fixture
def linked(lead, worker, provider: Provider) -> Visitor:
    """The same, who signs in by the district from now on; the provider knows them as person-1."""
    assert trips.link(lead).status_code == 303
    worker.drain()
    return lead


@pytest.fixture
def browser(app) -> Visitor:
    return Visitor(app.test_client())
