"""A lead's passkey in Chromium, whose virtual authenticator makes it and signs with it."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import update

from belong_mail.accounts.models import BrowserSession
from belong_mail.accounts.proof import FRESH_PROOF_AGE
from belong_mail.core.db import now
from tests.browser.chromium import PHONE
from tests.browser.site import LEAD, sign_in, sign_out
from tests.markers import night

NAME = "My phone"


@pytest.fixture
def context(browser, site) -> Iterator[BrowserContext]:
    site.flask("office", "invite", LEAD)
    site.forget_limits()  # other tests have asked for links, too
    context = browser.new_context(base_url=site.url, viewport=PHONE, has_touch=True)
    yield context
    context.close()


@pytest.fixture
def page(context) -> Page:
    """A page of a browser on a device that has passkeys, and asks for a finger."""
    page = context.new_page()
    tools = context.new_cdp_session(page)
    tools.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    tools.send("WebAuthn.addVirtualAuthenticator", {"options": device})
    return page


def test_a_lead_adds_a_passkey_signs_in_proves_and_removes_it(page, site):
    """One link proves it before the first is made; after that none, nor a page for a mailbox."""
    sign_in(page, site)
    let_proofs_age(site)
    before = site.links_to(LEAD, "sign-in")
    create(page)
    expect(page.locator("h1")).to_have_text("Now check your inbox")
    site.wait_for(lambda: site.links_to(LEAD, "sign-in") != before)
    page.goto(site.links_to(LEAD, "sign-in")[0])
    page.get_by_role("button", name="Yes, it’s me").click()
    create(page)
    expect(page.get_by_role("status")).to_contain_text("Done")
    expect(page.locator(".lines").first).to_contain_text(NAME)
    sign_out(page)
    page.goto("/sign-in")
    page.get_by_role("button", name="Sign in with a passkey").press("Enter")
    expect(page.locator("h1")).to_have_text("Groups I lead")
    assert len(site.links_to(LEAD, "sign-in")) == len(before) + 1, "nor asked the script for one"

    let_proofs_age(site)
    page.goto("/account")
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("h1")).to_have_text("Please confirm that it’s you")
    use = page.get_by_role("button", name="Use my passkey")
    page.route("**/passkey/finish", lambda route: route.fulfill(status=403), times=1)
    use.press("Enter")
    expect(page.locator("[data-problem]")).to_contain_text("That didn’t work")
    use.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Removed")
    sign_out(page)
    page.goto("/sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator("h1")).to_have_text("We couldn’t sign you in")


@night("journeys in a browser")
def test_a_device_that_says_no_leaves_the_page_as_it_is(page):
    """A person who cancels, or has no passkey here, reads that it did not work and can go on."""
    page.goto("/sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator("[data-problem]")).to_contain_text("That didn’t work")
    page.get_by_role("textbox", name="Your email address").fill(LEAD)
    page.get_by_role("button", name="Send me the link").click()
    expect(page.locator("h1")).to_have_text("Now check your inbox")


@night("journeys in a browser")
def test_without_script_the_page_says_what_works(browser, site):
    context = browser.new_context(base_url=site.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/sign-in")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    expect(page.get_by_text("Passkeys need JavaScript")).to_be_visible()
    context.close()


@night("journeys in a browser")
def test_a_newsletter_is_sent_in_three_presses_when_a_proof_is_due(context, site):
    """A tab that waited before, though for the same newsletter, stays where it is."""
    first, last, third = (context.new_page() for _ in range(3))
    sign_in(first, site)
    let_proofs_age(site)
    before = site.links_to(LEAD, "sign-in")
    first.goto("/lead/")
    first.get_by_role("button", name="Write a newsletter").first.click()
    first.fill("[name=subject]", "Tea on Friday")
    first.fill("[name=text]", "Come.")
    first.locator("[name=release]").click()
    first.wait_for_url(re.compile("/release"))
    last.goto(first.url)
    for tab in (first, last):
        tab.get_by_role("button", name="Send to members").click()
        expect(tab.locator("h1")).to_have_text("Now check your inbox")
    site.wait_for(lambda: len(site.links_to(LEAD, "sign-in")) == len(before) + 2)
    third.goto(site.links_to(LEAD, "sign-in")[0])
    third.get_by_role("button", name="Yes, it’s me").click()
    expect(last).to_have_url(re.compile("/sending"))
    expect(first.locator("h1")).to_have_text("Now check your inbox")


def create(page) -> None:
    page.goto("/account")
    page.get_by_label("What do you call this passkey?").fill(NAME)
    page.get_by_role("button", name="Create the passkey").press("Enter")


def let_proofs_age(site) -> None:
    """Let a quarter of an hour pass since everybody last proved who they are."""
    long_ago = now() - FRESH_PROOF_AGE - timedelta(minutes=1)
    site.execute(update(BrowserSession).values(started_at=long_ago, proven_at=None))
