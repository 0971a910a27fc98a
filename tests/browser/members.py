"""A walk past the pages of members, for whoever looks at all of them."""

from collections.abc import Iterator
from datetime import timedelta

from belong_mail.core.db import now
from tests.browser.site import SLUG
from tests.browser.strangers import ask, press


def members(page, site, address: str) -> Iterator[str]:
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


def _sheet(page, sheet: str) -> Iterator[str]:
    page.goto(sheet)
    yield "sheet"
    press(page, "main a[href*=leave-all]")
    yield "leave-all"
    page.goto(sheet)
    press(page, "main form.pausing button")
    yield "sheet-with-errors"
    page.locator("input[name$=until]").first.fill(f"{now() + timedelta(days=9):%Y-%m-%d}")
    press(page, "main form.pausing button")
    yield "sheet-paused"
    press(page, "main form[action*=leave] button")
    yield "sheet-left"
    press(page, "main form[action*=copy] button")


def _move(page, site, sheet: str, new: str) -> Iterator[str]:
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
