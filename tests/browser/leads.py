"""A walk past the pages of leads and the office, for whoever looks at all of them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from belong_mail.core.db import now
from tests.browser.site import SLUG, link_in
from tests.browser.strangers import press

OTHER = "asian"
MEETINGS = f"/lead/groups/{SLUG}/meetings"
TODAY = now().date()
# A Tuesday two or three weeks ahead, and the last one of its meetings.
FIRST = TODAY + timedelta(days=21 - (TODAY.weekday() - 1) % 7)
LAST = FIRST + timedelta(weeks=20)
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "directory.png"
LONG = "Sustainability" * 3
TEXT = f"""## What we will do

Dear {{first_name}}, come to [tea](https://example.org/{"x" * 60}).

- One
- Two **bold** words

{LONG}
"""


def leads(page, site, address: str) -> Iterator[str]:
    """Stop at each page of a lead's."""
    language = address.partition("@")[0].rpartition(".")[2]
    for slug in (SLUG, OTHER):
        yield from _accept(page, site, address, slug, language)
    _join_the_office(page, site, address)
    site.add_members(12)
    yield from _sign_in(page, site, address)
    yield from _write(page)
    yield from _release(page, site)
    yield from _group(page)
    yield from _mailbox(page, site, address)
    yield from _meetings(page)
    yield from _audience(page)
    yield from _office(page)
    yield from _office_newsletters(page)


def _join_the_office(page, site, address: str) -> None:
    """Be invited to work for the office and accept, unless that was done before."""
    before = len(site.mails_to(address))
    if "Invited" in site.flask("office", "invite", address):
        page.goto(link_in(site.mail_to(address, before + 1), "invitation"))
        press(page)


def _accept(page, site, address: str, slug: str, language) -> Iterator[str]:
    """Be invited and accept; once for each group, whoever walks here again leads it already."""
    before = len(site.mails_to(address))
    said = site.flask("lead", "invite", address, "--group", slug, "--language", language)
    if "Invited" in said:
        page.goto(link_in(site.mail_to(address, before + 1), "invitation"))
        if slug == SLUG:
            yield "invitation"
            press(page)
            yield "invitation-without-a-name"
            page.fill("[name=name]", "Kim, East")
        press(page)
        if slug == SLUG:
            yield "invitation-accepted"


def _sign_in(page, site, address: str) -> Iterator[str]:
    page.goto("/sign-in")
    yield "sign-in"
    press(page)
    yield "sign-in-with-errors"
    page.fill("[name=email]", address)
    press(page)
    yield "sign-in-sent"
    link = site.link_to(address, "sign-in")
    cookies: list[Any] = page.context.cookies()
    page.context.clear_cookies()
    page.goto(link)
    yield "sign-in-elsewhere"
    page.context.add_cookies(cookies)
    page.goto(link)
    yield "sign-in-confirm"
    press(page)
    page.goto("/account")
    yield "account"
    page.goto("/lead/")
    yield "lead"


def _write(page) -> Iterator[str]:
    press(page, "main form[action*=newsletters] button")
    yield "write"
    page.fill("[name=subject]", "Tea {who} on Friday")
    page.fill("[name=text]", TEXT)
    press(page, "#main-form [name=release]")
    yield "write-with-errors"
    page.fill("[name=subject]", "Tea on Friday")
    expect(page.locator("#saved")).not_to_be_empty()
    expect(page.frame_locator("iframe[name=preview]").get_by_role("heading").first).to_be_visible()
    yield "write-saved"
    page.goto(f"{page.url.partition('?')[0]}/pictures")
    yield "pictures"
    press(page)
    yield "pictures-with-errors"
    page.set_input_files("[name=picture]", PICTURE)
    page.fill("#main-form [name=description]", "The directory of groups")
    press(page)
    yield "write-with-picture"


def _release(page, site) -> Iterator[str]:
    press(page, "#main-form [name=release]")
    yield "release"
    press(page, "main form[action*=test] button")
    page.check("[value=later]")
    press(page, "#main-form .button")
    yield "release-with-errors"
    page.check("[name=when][value='1']")
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


def state(page, word: str) -> None:
    """Look again until an issue is so far."""
    buttons = {"held": "main a.button[href*=release]", "sent": "main h2"}
    page.locator(buttons[word]).wait_for()


def _group(page) -> Iterator[str]:
    page.goto("/lead/")
    press(page, "main form[action*=newsletters] button")
    page.locator("main > details summary").click()
    yield "delete"
    press(page, "main > details .button")
    yield "lead-with-issues"
    page.goto(f"/lead/groups/{SLUG}/page")
    yield "group-edit"
    page.click("details:has([name=mailbox]) summary")
    page.fill("[name=mailbox]", "nobody")
    press(page, "#main-form .bar .big")
    yield "group-edit-with-errors"
    page.fill("[name=mailbox]", "")
    press(page, "#main-form .bar .big")
    yield "group-edit-saved"


def _mailbox(page, site, address: str) -> Iterator[str]:
    """Name a mailbox for another group, and say yes behind both links."""
    form, shared = f"/lead/groups/{OTHER}/page", "shared." + address
    page.goto(form)
    page.click("details:has([name=mailbox]) summary")
    page.fill("[name=mailbox]", shared)
    press(page, "#main-form .bar .big")
    yield "mailbox-named"
    for each in (shared, address):
        page.goto(site.link_to(each, "confirm-mailbox"))
        before = len(site.mails_to(address))
        yield f"mailbox-confirm-{each == address}"
        press(page)
    yield "mailbox-confirmed"
    site.wait_for(lambda: len(site.mails_to(address)) > before)
    page.goto(form)
    yield "mailbox-set"


def _meetings(page) -> Iterator[str]:
    page.goto(MEETINGS)
    yield "meetings"
    type_a_meeting(page, "Room " + "x" * 60)
    page.check("[name=is_open][value=anyone]")
    page.fill("[name=exceptions]", f"{FIRST + timedelta(days=1)}")
    press(page, "button.big")
    yield "meeting-with-errors"
    page.fill("[name=exceptions]", "")
    press(page, "[name=preview]")
    yield "meeting-in-words"
    press(page, "button.big")
    page.locator("summary").first.click()
    yield "meetings-with-days"
    page.locator("details a").first.click()
    yield "meeting-day"
    page.go_back()
    page.locator(".lines a").first.click()
    page.locator("details.quiet summary").click()
    yield "meeting-cancel"
    for name, path in {
        "calendar-with-meetings": f"/calendar?group={SLUG}",
        "month-with-meetings": f"/calendar/{FIRST:%Y-%m}",
        "group-with-meetings": f"/groups/{SLUG}",
    }.items():
        page.goto(path)
        yield name


def type_a_meeting(page, place: str) -> None:
    """Fill the form in by keyboard alone: from field to field with Tab."""
    page.goto(f"{MEETINGS}/new")
    page.focus("[name=title_en]")
    keys = page.keyboard
    keys.type("Tea")
    keys.press("Tab")
    keys.type("Té")
    page.fill("[name=starts_on]", f"{FIRST}")
    page.fill("[name=starts_at]", "16:00")
    page.fill("[name=ends_at]", "17:00")
    page.focus("[name=repeats]")
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    page.fill("[name=until]", f"{LAST}")
    page.focus("[name=place]")
    keys.type(place)
    page.click("#main-form summary")
    page.focus("[name=access]")
    keys.press("Space")


def _audience(page) -> Iterator[str]:
    """Say for the office whom a group welcomes."""
    page.goto("/office")
    yield "office-home"
    press(page, "main nav a[href*=groups]")
    yield "office-groups"
    press(page, f"main a[href*={OTHER}]")
    yield "office-group"
    page.locator("main .lines summary").first.click()
    press(page, "#main-form .button")
    yield "office-group-saved"
    press(page, "main .lines a[href*=questions]")
    yield "office-questions"
    press(page, "#main-form .button")
    yield "office-questions-with-errors"


def _office(page) -> Iterator[str]:
    """Write without an address, answer for the office, and read it with the code."""
    page.goto("/contact")
    page.select_option("[name=topic]", "need")
    page.fill("[name=message]", "Where is the library?")
    press(page)
    reference, code = page.locator("code").all_inner_texts()
    page.goto("/office")
    yield "office"
    page.locator("main .issues li", has_text=reference).locator("a").click()
    yield "office-thread"
    press(page, "#main-form .button")
    yield "office-thread-with-errors"
    page.fill("[name=answer]", "In room 4.\n\n" + LONG)
    press(page, "#main-form .button")
    yield "office-answered"
    page.goto("/contact/answer")
    page.fill("[name=code]", code)
    press(page, "#main-form .button")
    yield "contact-answered"


def _office_newsletters(page) -> Iterator[str]:
    """Look at what went out, and at the pages that ask before something is done."""
    page.goto("/office/newsletters")
    yield "office-newsletters"
    press(page, "main .issues a")
    yield "office-newsletter"
    shown = page.url
    for name in ("read", "stop", "cancel", "send"):
        page.goto(f"{shown.partition('?')[0]}/{name}")
        yield f"office-newsletter-{name}"
    for name in ("health", "addresses"):
        page.goto(f"/office/{name}")
        yield f"office-{name}"
