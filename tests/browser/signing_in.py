"""Signing in by the emailed link, in a browser."""

from playwright.sync_api import Page, expect

from tests.browser.site import LEAD, Site, link_in


def sign_in_by_link(page: Page, site: Site) -> None:
    before = len(site.sign_in_mails())
    page.goto("/sign-in")
    page.get_by_role("textbox", name="Your email address").fill(LEAD)
    page.get_by_role("button", name="Send me the link").click()
    site.wait_for(lambda: len(site.sign_in_mails()) > before)
    page.goto(link_in(site.sign_in_mails()[0], "sign-in"))
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("h1")).to_have_text("Groups I lead")
