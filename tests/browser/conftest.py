"""The site and the browser that the tests here share; without chromium they say so loudly."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.chromium import FLAGS, IS_REQUIRED, MISSING, PATH, PHONE
from tests.browser.site import PATIENCE, Site
from tests.browser.watch import Watch


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Start Debian's chromium; where it is missing, skip, or fail where it is required."""
    if PATH is None:
        (pytest.fail if IS_REQUIRED else pytest.skip)(MISSING)
    return {**browser_type_launch_args, "executable_path": PATH, "args": FLAGS}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve one site for all of a process's browser tests."""
    with Site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(params=["en", "es"])
def language(request: pytest.FixtureRequest) -> str:
    code: str = request.param
    return code


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def has_script(request: pytest.FixtureRequest) -> bool:
    has: bool = request.param
    return has


@pytest.fixture
def context_args(site: Site) -> dict[str, Any]:
    """Describe a phone; a test may change some before it asks for the page."""
    return {"base_url": site.url, "viewport": PHONE, "has_touch": True}


@pytest.fixture
def watch(request: pytest.FixtureRequest) -> Watch:
    """Watch; the statuses that a test is about (`@pytest.mark.expected(404)`) are no complaint."""
    marker = request.node.get_closest_marker("expected")
    return Watch(expected=set(marker.args) if marker else set())


def pytest_configure(config: pytest.Config) -> None:
    expect.set_options(timeout=PATIENCE * 1000)
    config.addinivalue_line("markers", "expected(status): a page with an error is meant to come")


@pytest.fixture
def phone(browser: Browser, context_args: dict[str, Any], watch: Watch) -> Iterator[Page]:
    """Open a page on a phone, and see that it behaves: no cookie, no complaint, no other site."""
    context: BrowserContext = browser.new_context(**context_args)
    watch.over(context, context_args["base_url"])
    yield context.new_page()
    cookies = context.cookies()
    context.close()
    assert cookies == []
    assert watch.complaints == []
