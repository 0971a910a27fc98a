"""The site and the browser that the tests here share; without chromium they say so loudly."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from belong_mail.core import i18n
from tests.browser.chromium import FLAGS, IS_REQUIRED, MISSING, PATH, PHONE, Watch
from tests.browser.site import PATIENCE, SLUG, Site, sign_in

Say = Callable[..., str]
# A lead of each test's own: one account is mailed only so many links an hour.
NAMES = map("writer.{}".format, count())
# Pastes what a clipboard holds into a text.
PASTE = """(area, [html, text]) => {
  const clipboardData = new DataTransfer()
  clipboardData.setData('text/html', html)
  clipboardData.setData('text/plain', text)
  const event = new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true})
  area.focus()
  return area.dispatchEvent(event)
}"""


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Start Debian's chromium; where it is missing, skip, or fail where it is required."""
    if PATH is None:
        (pytest.fail if IS_REQUIRED else pytest.skip)(MISSING)
    return {**browser_type_launch_args, "executable_path": PATH, "args": FLAGS}


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Iterator[Site]:
    """Serve one site for all of a process's browser tests."""
    with Site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(autouse=True)
def unlimited(request) -> None:
    """Begin each test of the shared site as if no other had asked for links before it."""
    if "site" in request.fixturenames:
        shared: Site = request.getfixturevalue("site")
        shared.forget_limits()


@pytest.fixture(params=["en", "es"])
def language(request) -> str:
    return request.param


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def has_script(request) -> bool:
    return request.param


@pytest.fixture
def context_args(site) -> dict[str, Any]:
    """Describe a phone; a test may change some before it asks for the page."""
    return {"base_url": site.url, "viewport": PHONE, "has_touch": True}


@pytest.fixture
def watch(request) -> Watch:
    """Watch; the statuses that a test is about (`@pytest.mark.expected(404)`) are no complaint."""
    marker = request.node.get_closest_marker("expected")
    return Watch(expected=set(marker.args) if marker else set())


def pytest_configure(config: pytest.Config) -> None:
    expect.set_options(timeout=PATIENCE * 1000)
    config.addinivalue_line("markers", "expected(status): a page with an error is meant to come")


@pytest.fixture
def context(browser, context_args: dict[str, Any], watch: Watch) -> Iterator[BrowserContext]:
    """Open a browser on a phone, and see that it behaves: no complaint, no other site."""
    context = browser.new_context(**context_args)
    watch.over(context, context_args["base_url"])
    yield context
    context.close()
    assert watch.complaints == []


@pytest.fixture
def phone(context) -> Iterator[Page]:
    """Hold a member's phone: no page that they see leaves a cookie."""
    yield context.new_page()
    assert context.cookies() == []


@pytest.fixture
def seat(context) -> Iterator[Page]:
    """Sit in a lead's seat: after signing out a cookie is left that names nobody, and no other."""
    yield context.new_page()
    assert [cookie["name"] for cookie in context.cookies()] == ["belong-known"]


@pytest.fixture
def say(language) -> Say:
    """Say a sentence of the pages in the language of the journey."""

    def said(words: str, **places: object) -> str:
        return i18n.catalog(language).gettext(words) % places

    return said


@pytest.fixture
def text(page, site) -> Locator:
    """Open the text of a new newsletter."""
    lead = f"{next(NAMES)}@dpsk12.org"
    site.flask("lead", "invite", lead, "--group", SLUG, "--name", "Kim")
    page.goto(site.link_to(lead, "invitation"))
    page.locator("main button").first.click()
    sign_in(page, site, lead)
    page.get_by_role("button", name="Write a newsletter").first.click()
    area = page.locator("textarea[name=text]")
    expect(page.get_by_role("group", name="Formatting").first).to_be_visible()
    return area
