"""The site on which rights are tried."""

import pytest

from tests.web.rights.site import Site, make_site


@pytest.fixture
def site(app, scenario) -> Site:
    return make_site(app, scenario)
