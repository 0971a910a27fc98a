"""A walk past every page and every mail, for whoever looks at all of them."""

import re
from collections.abc import Iterator

from playwright.sync_api import Page

from tests.browser.site import ISSUE, LEAD, OFFICE, SLUG, Site, link_in

LONG_NAME = "Wolfeschlegelsteinhausenbergerdorff"


def tour(page: Page, site: Site, address: str) -> Iterator[str]:
    """Stop at each page and name it; the browser's own language decides what is read."""
    yield from _public(page)
    yield from _contact(page, address)
    yield from _join(page, site, address)
    yield from _leave(page, site, address)
    yield from _own(page, site, address)
    yield from _strangers(page, site, address)


def mails(site: Site, address: str) -> Iterator[tuple[str, str]]:
    """Return name and HTML of every kind of mail that the tours have brought about."""
    seen = set()
    for mail in site.mails():
        name = "mail-" + re.sub(r"\W+", "-", re.sub(r"\S*\d\S*", "", mail.subject).lower()).strip(
            "-"
        )
        is_ours = mail.recipient.endswith(address) or mail.recipient in {LEAD, OFFICE}
        if is_ours and name not in seen:
            seen.add(name)
            yield name, mail.html


def _public(page: Page) -> Iterator[str]:
    for name, path in {
        "directory": "/",
        "group": f"/groups/{SLUG}",
        "group-upcoming": "/groups/autoimmune",
        "group-with-note": "/groups/african-american-black",
        "tell-me": "/groups/autoimmune/tell-me",
        "noted": "/noted",
        "new-colleagues": "/new-colleagues",
        "new-colleagues-sheet": "/new-colleagues/sheet",
        "new-colleagues-mail": "/new-colleagues/mail",
        "poster": f"/groups/{SLUG}/poster",
        "poster-upcoming": "/groups/people-with-disabilities/poster",
        "privacy": "/privacy",
        "accessibility": "/accessibility",
        "sign-in": "/sign-in",
        "missing": "/nothing-here",
    }.items():
        page.goto(path)
        yield name


def _contact(page: Page, address: str) -> Iterator[str]:
    page.goto("/contact")
    yield "contact"
    page.fill("[name=email]", "nobody")
    press(page)
    yield "contact-with-errors"
    page.fill("[name=email]", "writer-" + address)
    page.fill("[name=name]", "Ada " + LONG_NAME)
    page.fill("[name=message]", "We need an interpreter.\n\nOn Tuesday. " + "x" * 90)
    press(page)
    yield "contact-received"
    page.goto("/contact")
    page.fill("[name=message]", "x" * 300_000)
    press(page)
    yield "too-long"


def _join(page: Page, site: Site, address: str) -> Iterator[str]:
    page.goto("/groups/women-of-color/join")
    yield "join-without-leads"
    page.goto(f"/groups/{SLUG}/join")
    yield "join"
    page.fill("[name=email]", "somebody@gmail.com")
    page.fill("[name=first_name]", "<b>")
    press(page)
    yield "join-with-errors"
    ask(page, address, is_introduced=True)
    yield "check-your-inbox"
    page.goto(link_in(site.mail_to(address), "confirm"))
    yield "confirm"
    press(page)
    yield "welcome"
    site.mail_to(address, 2)
    site.mail_to(LEAD)


def _leave(page: Page, site: Site, address: str) -> Iterator[str]:
    site.send_newsletter()
    page.goto(link_in(site.mail_to(address, 3), "leave"))
    yield "leave"
    press(page)
    yield "left"
    press(page)
    yield "back"
    page.goto(f"/groups/{SLUG}/join")
    ask(page, address)
    site.mail_to(address, 4)


def _own(page: Page, site: Site, address: str) -> Iterator[str]:
    page.goto("/my-groups")
    yield "my-groups"
    ask(page, "nobody-" + address)
    yield "my-groups-sent"
    site.mail_to("nobody-" + address)
    page.goto("/my-groups")
    ask(page, address)
    sheet = link_in(site.mail_to(address, 5), "my-groups")
    page.goto(sheet)
    yield "sheet"
    press(page, "main form[action*=pause] .button")
    yield "sheet-with-error"
    press(page, "main form[action*=copy] .button")
    yield "sheet-copy"
    site.mail_to(address, 6)
    yield from _move_and_erase(page, site, address)
    page.goto(sheet.replace("/my-groups/", "/my-groups/x"))
    yield "sheet-over"


def _move_and_erase(page: Page, site: Site, address: str) -> Iterator[str]:
    press(page, "main a[href*=change-address]")
    yield "change-address"
    press(page)
    yield "change-address-with-error"
    ask(page, "moved-" + address)
    page.goto(link_in(site.mail_to("moved-" + address), "change-address"))
    yield "change-address-confirm"
    press(page)
    yield "change-address-done"
    site.mail_to(address, 7)
    page.goto("/my-groups")
    ask(page, "moved-" + address)
    page.goto(link_in(site.mail_to("moved-" + address, 2), "my-groups"))
    press(page, "main a[href*=erase]")
    yield "erase"
    press(page)
    yield "erased"
    site.mail_to("moved-" + address, 3)


def seat(page: Page, stranger: Page, site: Site) -> Iterator[tuple[str, Page]]:
    """Sit in a lead's seat and stop at each of its pages."""
    before = len(site.sign_in_mails())
    page.goto("/sign-in")
    ask(page, LEAD)
    yield "sign-in-sent", page
    site.wait_for(lambda: len(site.sign_in_mails()) > before)
    link = link_in(site.sign_in_mails()[0], "sign-in").partition("?")[0]
    stranger.goto(link)
    yield "sign-in-elsewhere", stranger
    page.goto(link)
    yield "sign-in-confirm", page
    press(page)
    yield "lead", page
    press(page, "form[action*=newsletters] .button")
    issue = page.url.partition("?")[0]
    yield "write-empty", page
    for name in _writing(page, issue):
        yield name, page
    for name in _releasing(page, issue):
        yield name, page
    for name in ("page", "questions"):
        page.goto(f"/lead/groups/{SLUG}/{name}")
        yield f"lead-{name}", page
        press(page, "#main-form .button.big")
        yield f"lead-{name}-pressed", page


def _writing(page: Page, issue: str) -> Iterator[str]:
    page.fill("[name=subject]", "{nobody}")
    page.fill("[name=text]", ISSUE)
    press(page, "#main-form .actions .button")
    yield "write-with-errors"
    page.fill("[name=subject]", "Tea on Tuesday")
    press(page, "#main-form .actions .button")
    page.frame_locator("iframe[name=preview]").get_by_text("A kind word.").wait_for()
    yield "write"
    for path in ("pictures", "delete"):
        page.goto(f"{issue}/{path}")
        yield f"write-{path}"
    page.goto(f"{issue}/pictures")
    press(page, "#main-form .button")
    yield "write-pictures-with-errors"


def _releasing(page: Page, issue: str) -> Iterator[str]:
    page.goto(f"{issue}/release")
    yield "release"
    page.check("[name=when][value=later]")
    press(page, "#main-form .button")
    yield "release-with-errors"
    page.check("[name=when][value=now]")
    press(page, "#main-form .button")
    yield "released"
    press(page, "main form[action*=undo] .button")
    yield "taken-back"
    page.goto("/lead/")
    press(page, "main .sent a")
    yield "report"


def _strangers(page: Page, site: Site, address: str) -> Iterator[str]:
    other = "other-" + address
    for choice in ("forget", "never"):
        page.goto("/groups/asian/join")
        ask(page, choice + other)
        link = link_in(site.mail_to(choice + other), "not-me")
        page.goto(link)
        if choice == "forget":
            yield "not-me"
        press(page, f"main button[value={choice}]")
        yield f"not-me-{choice}"
    page.goto(link.replace("/not-me/", "/not-me/x"))
    yield "old-link"
    page.goto("/dev/mailbox")
    yield "mailbox"
    page.goto(page.locator(".mails a").first.get_attribute("href") or "")
    yield "mailbox-mail"


def ask(page: Page, address: str, *, is_introduced: bool = False) -> None:
    """Fill in a sign-up form as it stands there and send it."""
    page.fill("[name=email]", address)
    if page.locator("[name=first_name]").count():
        page.fill("[name=first_name]", "Ada")
    if is_introduced:
        page.check("[name=introduce_me]")
        page.locator("[name^=question]").first.check()
    press(page)


def press(page: Page, button: str = "main form .button") -> None:
    """Press the page's one button, or a link, and wait for the next page."""
    with page.expect_navigation():
        page.locator(button).first.click()
