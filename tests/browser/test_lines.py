"""Slow lines, no style, and presses that come twice."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.site import SLUG
from tests.markers import night

pytestmark = night("journeys in a browser")

# “Slow 3G”: 400 kbit/s, 400 ms to and fro.
SLOW = {
    "offline": False, "latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000,
}  # fmt: skip
JOIN = f"/groups/{SLUG}/join"
AFTER_JOINING = re.compile("/check-your-inbox")
HEARD = "() => document.body.innerText.split('\\n').map(it => it.trim()).filter(Boolean)"


@pytest.fixture
def slow(phone: Page, context: BrowserContext) -> Page:
    context.new_cdp_session(phone).send("Network.emulateNetworkConditions", SLOW)
    return phone


@pytest.fixture
def bare(phone: Page) -> Page:
    """Hold a phone to which the style sheet never comes."""
    phone.route("**/*.css*", lambda route: route.fulfill(content_type="text/css", body=""))
    return phone


def test_a_button_pressed_twice_on_a_slow_line_brings_one_mail(slow, site):
    for address in ("twice@dpsk12.org", "after.twice@dpsk12.org"):
        slow.goto(JOIN)
        slow.fill("[name=email]", address)
        slow.locator("main form .button").dblclick()
        # The second press ends the first one's navigation, at which wait_for_url gives up.
        expect(slow).to_have_url(AFTER_JOINING)
        site.mail_to(address)
    assert len(site.mails_to("twice@dpsk12.org")) == 1


def test_without_style_a_page_reads_from_top_to_bottom_and_its_form_is_sent(bare, site):
    bare.goto(JOIN)
    said = bare.evaluate(HEARD)
    order = [
        "Skip to main content", "Groups", "Contact", "Join The Village Belong Group",
        "Your work email address", "Leave this empty", "Send me the link", "What happens next",
        "Privacy",
    ]  # fmt: skip
    places = [next((i for i, line in enumerate(said) if line == words), -1) for words in order]
    assert -1 not in places, said
    assert places == sorted(places), said
    bare.get_by_label("Your work email address").fill("bare@dpsk12.org")
    bare.get_by_role("button", name="Send me the link").click()
    expect(bare.get_by_role("heading", name="Now check your inbox")).to_be_visible()
    site.mail_to("bare@dpsk12.org")
