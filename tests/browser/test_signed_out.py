"""A session ends in the middle of a newsletter: with and without a script, no word is lost."""

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.site import sign_in
from tests.markers import night

pytestmark = night("journeys in a browser")

WORDS = "Come to tea.\n\nBring a cup & a “story”."


@pytest.fixture
def context_args(context_args: dict[str, Any], *, has_script: bool) -> dict[str, Any]:
    return {**context_args, "java_script_enabled": has_script}


@pytest.mark.expected(400, 403)
def test_a_newsletter_comes_back_after_signing_in_again(context, site):
    page = context.new_page()
    page.goto("/sign-in")
    sign_in(page, site)
    page.get_by_role("button", name="Write a newsletter").first.click()
    other = context.new_page()
    other.goto("/lead/")
    other.get_by_role("button", name="Sign out", exact=True).first.click()
    page.fill("[name=subject]", "Tea on Friday")
    page.fill("[name=text]", WORDS)
    page.locator("#main-form").get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("h1")).to_have_text("You were signed out")
    with context.expect_page() as opened:
        page.get_by_role("link", name="Sign in again in a new tab").click()
    sign_in(opened.value, site)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("status").first).to_contain_text("Nothing has been saved yet.")
    expect(page.get_by_role("status").first).to_be_focused()
    expect(page.locator("[name=subject]")).to_have_value("Tea on Friday")
    expect(page.locator("[name=text]")).to_have_value(WORDS)
    page.locator("#main-form").get_by_role("button", name="Save", exact=True).click()
    expect(page).to_have_url(re.compile("saved=1"))
    page.reload()
    expect(page.locator("[name=text]")).to_have_value(WORDS)
