"""A walk past the pages and mails of members and leads, for whoever looks at all of them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Page, expect

from belong_mail.db import now
from belong_mail.mail.mailbox import Kept
from tests.browser.site import SLUG, Site
from tests.browser.tour import ask, press

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "directory.png"
LONG = "Sustainability" * 3
TEXT = f"""## What we will do

Dear {{first_name}}, come to [tea](https://example.org/{"x" * 60}).

- One
- Two **bold** words

{LONG}
"""


def members(page: Page, site: Site, address: str) -> Iterator[str]:
    """Stop at each page of somebody who is a member of two groups."""
    for slug in (SLUG, "lgbtq"):
        page.goto(f"/groups/{slug}/join")
        ask(page, address)
        site.wait_for(lambda: len(site.mails_to(address)) % 2 == 1)
        page.goto(site.link_to(address, "confirm"))
        press(page)
        site.wait_for(lambda: len(site.mails_to(address)) % 2 == 0)
    page.goto("/my-groups")
    yield "my-groups"
    page.fill("[name=email]", "ada@")
    press(page)
    yield "my-groups-with-errors"
    page.fill("[name=email]", address)
    press(page)
    yield "my-groups-sent"
    sheet = site.link_to(address, "my-groups")
    yield from _sheet(page, sheet)
    yield from _move(page, site, sheet, "new." + address)
    page.goto(sheet.replace("/my-groups/", "/my-groups/x"))
    yield "my-groups-over"


def _sheet(page: Page, sheet: str) -> Iterator[str]:
    page.goto(sheet)
    yield "sheet"
    press(page, "main form[action*=pause] button")
    yield "sheet-with-errors"
    page.locator("[name=until]").first.fill(f"{now() + timedelta(days=9):%Y-%m-%d}")
    press(page, "main form[action*=pause] button")
    yield "sheet-paused"
    press(page, "main form[action*=leave] button")
    yield "sheet-left"
    press(page, "main form[action*=copy] button")


def _move(page: Page, site: Site, sheet: str, new: str) -> Iterator[str]:
    """Take a new address along, then erase what is there; strangers ask too."""
    page.goto(sheet)
    press(page, "main a[href*=change-address]")
    yield "change-address"
    page.fill("[name=email]", "ada@gmail.com")
    press(page)
    yield "change-address-with-errors"
    page.fill("[name=email]", new)
    press(page)
    yield "change-address-asked"
    page.goto(site.link_to(new, "change-address"))
    yield "change-address-confirm"
    press(page)
    yield "change-address-confirmed"
    page.goto("/my-groups")
    page.fill("[name=email]", "no." + new)
    press(page)
    old = new.removeprefix("new.")
    site.wait_for(lambda: len(site.mails_to(old)) == 7)
    page.goto("/my-groups")
    page.fill("[name=email]", new)
    press(page)
    page.goto(site.link_to(new, "my-groups"))
    press(page, "main a[href*=erase]")
    yield "erase"
    press(page)
    yield "erased"
    site.wait_for(lambda: len(site.mails_to(new)) == 3)


def members_mails(site: Site, address: str) -> Iterator[tuple[str, str]]:
    """Return name and HTML of each mail that the members' walk brought about."""
    old, new = site.mails_to(address), site.mails_to("new." + address)
    yield from zip(
        ("mail-address-changed", "mail-my-copy", "mail-my-groups"), _html(old), strict=False
    )
    yield from zip(
        ("mail-erased", "mail-my-groups-moved", "mail-change-address"), _html(new), strict=True
    )
    yield "mail-no-groups", site.mail_to("no.new." + address).html


def leads(page: Page, site: Site, address: str) -> Iterator[str]:
    """Stop at each page of a lead's."""
    language = address.partition("@")[0].rpartition(".")[2]
    site.flask("lead", "invite", address, "--group", SLUG, "--language", language)
    site.flask("demo", "--group", SLUG, "--members", "12")
    page.goto("/sign-in")
    yield "sign-in"
    press(page)
    yield "sign-in-with-errors"
    page.fill("[name=email]", address)
    press(page)
    yield "sign-in-sent"
    link = site.link_to(address, "sign-in")
    page.goto(link)
    yield "sign-in-confirm"
    press(page)
    yield "lead"
    yield from _write(page)
    yield from _release(page, site)
    yield from _group(page)
    page.goto("/contact")
    page.fill("[name=email]", address)
    page.fill("[name=message]", "Where is the library?")
    press(page)
    site.wait_for(lambda: len(site.mails_to(address)) >= 4)


def _write(page: Page) -> Iterator[str]:
    press(page, "main form[action*=newsletters] button")
    yield "write"
    page.fill("[name=subject]", "Tea {who} on Friday")
    page.fill("[name=text]", TEXT)
    press(page, "#main-form .actions .button")
    yield "write-with-errors"
    page.fill("[name=subject]", "Tea on Friday")
    press(page, "#main-form .actions .button")
    expect(page.frame_locator("iframe.phone").get_by_role("heading").first).to_be_visible()
    yield "write-saved"
    press(page, "#main-form .actions [name=pictures]")
    yield "pictures"
    press(page)
    yield "pictures-with-errors"
    page.set_input_files("[name=picture]", PICTURE)
    page.fill("#main-form [name=description]", "The directory of groups")
    press(page)
    yield "pictures-added"
    press(page, ".back a")
    yield "write-with-picture"


def _release(page: Page, site: Site) -> Iterator[str]:
    press(page, "#main-form .actions [name=release]")
    yield "release"
    press(page, "main form[action*=test] button")
    page.check("[value=later]")
    press(page, "#main-form .button")
    yield "release-with-errors"
    page.check("[name=when][value=now]")
    press(page, "#main-form .button")
    yield "scheduled"
    site.let_time_pass(timedelta(hours=2))
    state(page, "held")
    yield "held"
    press(page, "main a.button")
    press(page, "#main-form .button")
    site.let_time_pass()
    state(page, "sent")
    yield "sent"
    page.goto(page.url.replace("/sending", "/stop"))
    yield "stop"


def state(page: Page, word: str) -> None:
    """Look again until an issue is so far."""
    buttons = {"held": "main a.button[href*=release]", "sent": "main h2"}
    page.locator(buttons[word]).wait_for()


def _group(page: Page) -> Iterator[str]:
    page.goto("/lead/")
    press(page, "main form[action*=newsletters] button")
    press(page, ".away a")
    yield "delete"
    press(page)
    yield "lead-with-issues"
    press(page, ".group .away a")
    yield "group-edit"
    page.fill("[name=mailbox]", "nobody")
    press(page, "#main-form .actions .button")
    yield "group-edit-with-errors"
    page.fill("[name=mailbox]", "")
    press(page, "#main-form .actions .button")
    yield "group-edit-saved"
    press(page, "main .away a")
    yield "questions"
    press(page, "#main-form .button")
    yield "questions-with-errors"


def leads_mails(site: Site, address: str) -> Iterator[tuple[str, str]]:
    """Return name and HTML of each mail that the leads' walk brought about."""
    names = ("mail-contact-received", "mail-held", "mail-test", "mail-sign-in")
    yield from zip(names, _html(site.mails_to(address)), strict=True)


def _html(mails: list[Kept]) -> Iterator[str]:
    return (mail.html for mail in mails)
