"""The journeys of members and writers on a phone: in both languages, also without JavaScript."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from belong_mail.core import i18n
from tests.browser.site import link_in
from tests.markers import one_by_day

OFFICE = "dps-belong@example.org"


@pytest.fixture
def context_args(context_args: dict[str, Any], *, has_script: bool) -> dict[str, Any]:
    return {**context_args, "java_script_enabled": has_script}


@pytest.fixture
def home(phone, language) -> Page:
    """Come to the directory with an English browser, and choose the language there."""
    phone.goto("/")
    if language != i18n.DEFAULT:
        phone.get_by_role("link", name=i18n.NAMES[language]).click()
    expect(phone.locator("html")).to_have_attribute("lang", language)
    return phone


@pytest.fixture
def address(language, request, *, has_script: bool) -> str:
    """Return an address that no other journey uses."""
    return f"{request.function.__name__[-20:]}.{language}.{has_script}@dpsk12.org"


@pytest.fixture
def called(language) -> str:
    """Return how a sentence calls the group of these journeys."""
    return i18n.group_in_sentence("The Village", language)


def ask_to_join(page, say, address: str) -> None:
    page.get_by_role("link", name="The Village").click()
    page.get_by_role("link", name=say("Join this group")).click()
    page.get_by_label(say("Your work email address")).fill(address)
    page.get_by_role("button", name=say("Send me the link")).click()
    expect(page.get_by_role("heading", name=say("Now check your inbox"))).to_be_visible()


@one_by_day("journeys in a browser", of="language")
def test_a_teacher_joins_within_a_minute(home, say, site, address, called):
    ask_to_join(home, say, address)
    home.get_by_role("link", name=say("Open the email")).click()
    expect(home.get_by_text(address).first).to_be_visible()
    home.get_by_role("link", name=say("Confirm your request to %(site_name)s")).first.click()
    letter = home.frame_locator("iframe")
    letter.get_by_role("link", name=say("Yes, open the page")).click()
    expect(home.locator("h1")).to_have_text(say("Join %(group)s?", group=called))
    home.get_by_role("button", name=say("Join %(group)s", group=called)).click()
    expect(home.locator("h1")).to_have_text(say("Welcome! You’re in."))
    assert site.mail_to(address, 2).subject == say("Welcome! You’re in.")


@one_by_day("journeys in a browser")
def test_a_member_gets_a_newsletter_leaves_and_comes_back(home, say, site, address, called):
    ask_to_join(home, say, address)
    home.goto(link_in(site.mail_to(address), "confirm"))
    home.get_by_role("button", name=say("Join %(group)s", group=called)).click()
    site.mail_to(address, 2)
    site.send_newsletter("Tea on Tuesday")
    newsletter = site.mail_to(address, 3)
    assert newsletter.subject == "Tea on Tuesday"
    home.goto(link_in(newsletter, "leave"))
    home.get_by_role("button", name=say("Leave %(group)s", group=called)).click()
    expect(home.locator("h1")).to_have_text(say("You’ve left the group"))
    home.get_by_role("button", name=say("Undo and stay in the group")).click()
    expect(home.locator("h1")).to_have_text(say("Good to have you back"))


@one_by_day("journeys in a browser")
def test_somebody_whose_address_was_used_is_left_alone(home, say, site, address):
    ask_to_join(home, say, address)
    confirm = link_in(site.mail_to(address), "confirm")
    home.goto(confirm)
    home.get_by_role("link", name=say("This wasn’t me")).click()
    home.get_by_role("button", name=say("Don’t email me again")).click()
    expect(home.locator("h1")).to_have_text(say("We won’t email you again"))
    home.goto(confirm)
    expect(home.locator("h1")).to_have_text(say("This request is over"))


@one_by_day("journeys in a browser")
def test_a_person_writes_to_the_office(home, say, site, address):
    home.get_by_role("link", name=say("Write to %(site_name)s")).click()
    home.get_by_label(say("What is it about?")).select_option(say("A concern"))
    home.get_by_role("textbox", name=say("Your message")).fill("Una línea.\nAnother line.")
    home.get_by_role("textbox", name=say("Your email address")).fill(address)
    home.get_by_role("button", name=say("Send to %(site_name)s")).click()
    expect(home.locator("h1")).to_have_text(say("Thank you. We have your message."))
    reference = home.locator("code").inner_text()
    site.wait_for(lambda: any(reference in mail.subject for mail in site.mails_to(OFFICE)))


@one_by_day("journeys in a browser")
@pytest.mark.expected(413)
def test_the_way_back_from_too_long_a_text_leads_to_it(home, say, language, *, has_script):
    """Without JavaScript it says so: a link would open an empty form."""
    home.goto(f"/contact?lang={language}")
    text, words = home.locator("textarea[name=message]"), "Words, words. " * 40_000
    text.fill(words)
    home.locator("#main-form [type=submit]").last.click()
    back = home.locator("main .button")
    if has_script:
        back.click()
    else:
        expect(back).to_be_hidden()
        home.go_back()
    expect(text).to_have_value(words)
