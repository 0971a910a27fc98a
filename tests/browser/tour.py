"""A walk past every page and every mail, for whoever looks at all of them."""

from collections.abc import Iterator

from playwright.sync_api import Page

from tests.browser.site import LEAD, SLUG, Site, link_in

LONG_NAME = "Wolfeschlegelsteinhausenbergerdorff"


def tour(page: Page, site: Site, address: str) -> Iterator[str]:
    """Stop at each page and name it; the browser's own language decides what is read."""
    yield from _public(page)
    yield from _contact(page)
    yield from _join(page, site, address)
    yield from _leave(page, site, address)
    yield from _strangers(page, site, address)


def mails(site: Site, address: str) -> Iterator[tuple[str, str]]:
    """Return name and HTML of every kind of mail that the tour has brought about."""
    newest = [mail.html for mail in site.mails_to(address)]
    names = ("mail-already-member", "mail-newsletter", "mail-welcome", "mail-confirm")
    yield from zip(names, newest, strict=True)
    yield "mail-introduction", site.mails_to(LEAD)[0].html
    yield "mail-contact", site.mails_to("dps-belong@example.org")[0].html


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
        "missing": "/nothing-here",
    }.items():
        page.goto(path)
        yield name


def _contact(page: Page) -> Iterator[str]:
    page.goto("/contact")
    yield "contact"
    page.fill("[name=email]", "nobody")
    press(page)
    yield "contact-with-errors"
    page.fill("[name=email]", "ada@dpsk12.org")
    page.fill("[name=name]", "Ada " + LONG_NAME)
    page.fill("[name=message]", "We need an interpreter.\n\nOn Tuesday. " + "x" * 90)
    press(page)
    yield "contact-received"


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
    page.fill("[name=first_name]", "Ada")
    if is_introduced:
        page.check("[name=introduce_me]")
        page.locator("[name^=question]").first.check()
    press(page)


def press(page: Page, button: str = "main form .button") -> None:
    """Press the page's one button and wait for the next page."""
    with page.expect_navigation():
        page.locator(button).first.click()
