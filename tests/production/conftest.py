"""One production stage for each database, and a browser to visit it."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Page

from tests.browser.chromium import PHONE, Watch
from tests.browser.conftest import browser_type_launch_args
from tests.postgres import postgresql
from tests.production import nginx
from tests.production.stage import Stage
from tests.servers.tunnel import Tunnel

# Chromium's words about signing out, where https lets it empty the browser.
CLEARED = "info: Clear-Site-Data header"
__all__ = ["browser_type_launch_args"]


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


@pytest.fixture
def seat(stage, browser) -> Iterator[Page]:
    """Sit at a phone in Chromium, which complains of nothing but what we refuse on purpose."""
    context = browser.new_context(
        base_url=stage.url, viewport=PHONE, has_touch=True, ignore_https_errors=True
    )
    watch = Watch(expected={404, 413, 422})
    watch.over(context, stage.url)
    yield context.new_page()
    context.close()
    assert [each for each in watch.complaints if not each.startswith(CLEARED)] == []
