"""One production stage for each database, and a browser to visit it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import make_url

from tests.browser.chromium import PHONE
from tests.browser.conftest import browser_type_launch_args
from tests.browser.watch import Watch
from tests.postgres import postgresql
from tests.production import nginx
from tests.production.forward import Forward
from tests.production.stage import Stage

# Chromium's words about signing out, where https lets it empty the browser.
CLEARED = "info: Clear-Site-Data header"
__all__ = ["browser_type_launch_args"]


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Install and start it all; without nginx say so loudly, or fail where it is required."""
    if nginx.PATH is None:
        (pytest.fail if nginx.IS_REQUIRED else pytest.skip)(nginx.MISSING)
    with ExitStack() as ends:
        url = ends.enter_context(reachable_postgresql()) if request.param != "sqlite" else ""
        yield ends.enter_context(Stage(url))


@contextmanager
def reachable_postgresql() -> Iterator[str]:
    """Yield the URL of an empty database which other users of this machine reach, too."""
    with ExitStack() as ends:
        url = make_url(ends.enter_context(postgresql()))
        folder = str(url.query.get("host", ""))
        if folder.startswith("/"):
            near = ends.enter_context(Forward(f"{folder}/.s.PGSQL.{url.port or 5432}"))
            url = url.set(host="127.0.0.1", port=near.port, query={"sslmode": "disable"})
        yield url.render_as_string(hide_password=False)


@pytest.fixture
def seat(stage: Stage, browser: Browser) -> Iterator[Page]:
    """Sit at a phone in Chromium, which complains of nothing but what we refuse on purpose."""
    context = browser.new_context(
        base_url=stage.url, viewport=PHONE, has_touch=True, ignore_https_errors=True
    )
    watch = Watch(expected={404, 413, 422})
    watch.over(context, stage.url)
    yield context.new_page()
    context.close()
    assert [each for each in watch.complaints if not each.startswith(CLEARED)] == []
