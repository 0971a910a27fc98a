"""The site on which rights are tried."""

import pytest

from tests.web.rights.site import Site, make_site


@pytest.fixture
def site(app, services, keyring, worker, relay) -> Site:
    return make_site(app, services, keyring, worker, relay)
