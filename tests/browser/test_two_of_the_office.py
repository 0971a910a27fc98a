"""Two people of the office and a lead, by what the pages say alone: no address bar, no command."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.browser.chromium import PHONE
from tests.browser.site import Site, sign_in
from tests.markers import night
from tests.newsletters.flyers.samples import flyer

pytestmark = night("journeys in a browser")

OFFICE, LEAD, SECOND, MISTYPED = (
    f"{name}@dpsk12.org" for name in ("maria.office", "kim.lead", "sam.second", "mistypd")
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve a site of this story's own: it opens a group and ends it."""
    with Site(tmp_path_factory.mktemp("office")) as site:
        yield site


@pytest.fixture
def people(browser: Browser, site: Site) -> Iterator[list[Page]]:
    """Hold three phones: the office's and two leads'."""
    contexts = [browser.new_context(base_url=site.url, viewport=PHONE) for _ in range(3)]
    yield [context.new_page() for context in contexts]
    for context in contexts:
        context.close()


def press(page: Page, words: str) -> None:
    """Press a button or a link of the page itself by what it says."""
    main = page.locator("main")
    named = main.get_by_role("button", name=words, exact=True)
    with page.expect_navigation():
        named.or_(main.get_by_role("link", name=words, exact=True)).first.click()


def accept(page: Page, site: Site, address: str) -> None:
    page.goto(site.link_to(address, "invitation"))
    with page.expect_navigation():
        page.locator("main form .button").click()


def invite(office: Page, name: str, address: str) -> None:
    press(office, "Groups")
    press(office, "Invite someone")
    office.get_by_label("What you call this person").fill(name)
    office.get_by_label("Their DPS email address").fill(address)
    office.get_by_label("Gardeners").check()
    press(office, "Send the invitation")


def open_group(office: Page, site: Site) -> None:
    """Open a group, invite two leaders, and take back a third invitation, to a wrong address."""
    press(office, "Groups")
    press(office, "Add a group")
    office.get_by_label("Name").first.fill("Gardeners")
    office.get_by_label("Now", exact=True).check()
    press(office, "Add the group")
    for name, address in (("Kim", LEAD), ("Sam", SECOND), ("Lee", MISTYPED)):
        invite(office, name, address)
    site.link_to(MISTYPED, "invitation")
    press(office, "Groups")
    press(office, "Gardeners")
    press(office, "Lee")
    press(office, "Withdraw it")
    expect(office.locator("main")).to_contain_text("The invitation no longer works.")
    office.goto(site.link_to(MISTYPED, "invitation"))
    assert office.locator("main form").count() == 0
    office.goto("/office")
    press(office, "Groups")
    press(office, "Gardeners")
    office.get_by_text("Words and rules", exact=True).click()
    office.get_by_label("Always").check()
    with office.expect_navigation():
        office.locator("form[action*=second-ok] .button").click()


def ask_to_send(lead: Page) -> None:
    press(lead, "Send or schedule")
    lead.get_by_label("Now").check()
    lead.get_by_label("1 minute").check()
    press(lead, "Ask for a second OK")


def approve(second: Page, subject: str) -> None:
    second.goto("/lead/")
    press(second, subject)
    press(second, "Approve and send")


def write_with_a_flyer(lead: Page) -> None:
    press(lead, "Write a newsletter")
    lead.get_by_label("Subject").first.fill("Seeds in September")
    lead.locator("[name=text]").fill("Hello. We share **seeds**.")
    press(lead, "Add flyers (PDF)")
    lead.get_by_label("Title").fill("Seed fair")
    file = FilePayload(name="seeds.pdf", mimeType="application/pdf", buffer=flyer())
    lead.locator("[type=file]").set_input_files([file])
    press(lead, "Add flyer")
    press(lead, "Back to your text")
    ask_to_send(lead)


def duplicate(lead: Page) -> None:
    """Write another one from what was sent, which carries its flyer."""
    lead.goto("/lead/")
    press(lead, "Past newsletters")
    press(lead, "Seeds in September")
    expect(lead.locator("main")).to_contain_text("You sent it. A second leader approved it.")
    press(lead, "Duplicate as a draft")
    expect(lead.locator("main")).to_contain_text("Seed fair")
    lead.get_by_label("Subject").first.fill("The wrong one")
    ask_to_send(lead)


def stop_and_end(office: Page) -> None:
    """Cancel the wrong newsletter, end the group, and see who did it all."""
    office.goto("/office")
    press(office, "Newsletters")
    press(office, "The wrong one")
    press(office, "Cancel it")
    press(office, "Cancel this newsletter")
    press(office, "Groups")
    press(office, "Gardeners")
    press(office, "End this group …")
    press(office, "End the group")
    expect(office.locator("main")).to_contain_text("The end is set.")
    press(office, "Log")
    for words in (
        "Group added",
        "Invitation withdrawn",
        "Newsletter approved",
        "End of a group set",
    ):
        expect(office.locator(".trail")).to_contain_text(words)


@pytest.mark.timeout(240)
def test_two_of_the_office_and_two_leaders_find_everything_by_its_name(people, site):
    office, lead, second = people
    site.flask("office", "invite", OFFICE, "--name", "Maria")
    accept(office, site, OFFICE)
    sign_in(office, site, OFFICE)
    open_group(office, site)
    for page, address in ((lead, LEAD), (second, SECOND)):
        accept(page, site, address)
        sign_in(page, site, address)
    site.flask("demo", "--group", "gardeners", "--members", "12")

    write_with_a_flyer(lead)
    approve(second, "Seeds in September")
    site.let_time_pass()
    site.wait_for(lambda: any("Seeds" in mail.subject for mail in site.mails()))
    duplicate(lead)
    approve(second, "The wrong one")
    stop_and_end(office)
    site.let_time_pass()
    members = [mail for mail in site.mails() if mail.recipient.endswith("@example.org")]
    assert not [mail for mail in members if "wrong one" in mail.subject]
