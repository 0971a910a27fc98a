"""A lead links the district's sign-in and signs in by it in Chromium; the provider runs too."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.chromium import PHONE
from tests.browser.site import LEAD, Site, sign_in, sign_out
from tests.markers import night
from tests.servers.identity_provider import Provider, identity_provider

pytestmark = night("journeys in a browser")


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with identity_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def site(tmp_path_factory, provider) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("district"), **provider.settings()) as site:
        provider.set(redirect_uri=f"{site.url}/sign-in/district/back")
        yield site


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no-script"])
def test_a_lead_switches_to_the_districts_sign_in(browser, site, provider, *, has_script):
    """The provider's page is another site's: the browser goes there and back by itself."""
    site.flask("office", "invite", LEAD)
    context = browser.new_context(
        base_url=site.url, viewport=PHONE, has_touch=True, java_script_enabled=has_script
    )
    page = context.new_page()
    sign_in(page, site)
    page.goto("/account")
    page.get_by_text("Sign in with your DPS account").click()
    page.get_by_role("button", name="Sign in to DPS").click()
    expect(page.locator("h1")).to_have_text("Use your DPS account from now on?")
    before = told(site)
    page.get_by_role("button", name="Use my DPS account from now on").press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("You’ll get an email in a moment")
    site.wait_for(lambda: told(site) > before)
    page.reload()
    expect(page.locator("main")).to_contain_text("You’ve signed in with your DPS account since")
    context.close()

    context = browser.new_context(base_url=site.url, java_script_enabled=has_script)
    page = context.new_page()
    page.goto("/sign-in")
    page.get_by_role("button", name="Sign in with your DPS account").press("Enter")
    page.get_by_role("button", name="Sign in", exact=True).press("Enter")
    expect(page.locator("h1")).to_have_text("Groups I lead")
    provider.set(subject="a stranger")
    sign_out(page)
    page.goto("/sign-in")
    page.get_by_role("button", name="Sign in with your DPS account").click()
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("h1")).to_have_text("We couldn’t sign you in")
    context.close()
    provider.set(subject="person-1")
    site.flask("lead", "unlink", LEAD)


def told(site) -> int:
    """Count the emails that say that the lead now signs in otherwise."""
    subjects = [mail.subject for mail in site.mails_to(LEAD)]
    return subjects.count("You now sign in with your DPS account")
