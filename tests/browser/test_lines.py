"""A line on which the style sheet does not come."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.site import SLUG
from tests.markers import night

pytestmark = night("journeys in a browser")

JOIN = f"/groups/{SLUG}/join"
HEARD = "() => document.body.innerText.split('\\n').map(it => it.trim()).filter(Boolean)"


@pytest.fixture
def bare(phone) -> Page:
    """Hold a phone to which the style sheet never comes."""
    phone.route("**/*.css*", lambda route: route.fulfill(content_type="text/css", body=""))
    return phone


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
