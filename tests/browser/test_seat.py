"""A lead's seat by keyboard alone, on a phone, in both languages: write, preview, release, undo."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from belong_mail import languages
from tests.browser.site import LEAD, Site, link_in
from tests.browser.watch import Watch

STOPS = 60
"""How often Tab is pressed at most before something must have been reached."""
NAME = """() => {
  const it = document.activeElement
  return it.labels?.length ? it.labels[0].innerText : it.innerText
}"""
Say = Callable[..., str]


@pytest.fixture
def say(language: str) -> Say:
    def said(words: str, **places: str) -> str:
        return languages.catalog(language).ugettext(words) % places

    return said


@pytest.fixture
def seat(
    browser: Browser, site: Site, context_args: dict[str, Any], language: str
) -> Iterator[Page]:
    """A phone whose browser prefers the language, with a keyboard; nobody is signed in yet."""
    watch = Watch()
    context = browser.new_context(**context_args, locale=language)
    watch.over(context, site.url)
    yield context.new_page()
    context.close()
    assert watch.complaints == []


def reach(page: Page, name: str, key: str = "Tab") -> None:
    """Press Tab, or Shift+Tab to go back, until something of that name has the focus."""
    for _ in range(STOPS):
        page.keyboard.press(key)
        if (page.evaluate(NAME) or "").strip().startswith(name):
            return
    pytest.fail(f"“{name}” cannot be reached by Tab on {page.url}")


def press(page: Page, name: str, key: str = "Tab") -> None:
    reach(page, name, key)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def sign_in(page: Page, say: Say, site: Site) -> None:
    before = len(site.sign_in_mails())
    page.goto("/sign-in")
    page.focus("[name=email]")
    page.keyboard.type(LEAD)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    site.wait_for(lambda: len(site.sign_in_mails()) > before)
    page.goto(link_in(site.sign_in_mails()[0], "sign-in").partition("?")[0])
    press(page, say("Sign in"))


def test_a_lead_writes_looks_releases_and_takes_it_back_by_keyboard(
    seat: Page, say: Say, site: Site
) -> None:
    start = time.monotonic()
    sign_in(seat, say, site)
    press(seat, say("Write a newsletter"))
    reach(seat, say("Subject"))
    seat.keyboard.type("Tea on Friday")
    reach(seat, say("Text"))
    seat.keyboard.type("Come **all**.")
    reach(seat, say("Phone"))
    seat.keyboard.press("Enter")
    expect(seat.frame_locator("iframe[name=preview]").get_by_text("Come all.")).to_be_visible()
    press(seat, say("Save and release …"), "Shift+Tab")
    press(seat, say("Send me a test"))
    expect(seat.get_by_role("status")).to_have_text(say("A test is on its way to you."))
    press(seat, say("Release to the members"))
    expect(seat.get_by_role("status")).to_be_visible()
    press(seat, say("Back to the drafts"))
    press(seat, say("Go on writing"))
    expect(seat.locator("[name=text]")).to_have_value("Come **all**.")
    assert time.monotonic() - start < 300
