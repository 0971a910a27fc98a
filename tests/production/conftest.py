"""One production stage for each database."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.postgres import postgresql
from tests.production import nginx
from tests.production.stage import Stage
from tests.servers.tunnel import Tunnel


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def stage(request) -> Iterator[Stage]:
    """Install and start it all; without nginx say so loudly, or fail where it is required."""
    if nginx.PATH is None:
        (pytest.fail if nginx.IS_REQUIRED else pytest.skip)(nginx.MISSING)
    with ExitStack() as ends:
        url = ""
        if request.param == "postgresql":
            # By a port, which other users of this machine reach, too.
            tunnel = ends.enter_context(Tunnel(ends.enter_context(postgresql())))
            url = tunnel.url
        yield ends.enter_context(Stage(url))
