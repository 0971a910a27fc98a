"""A walk past the pages and mails of whoever is not signed in, for whoever looks at all of them."""

import re
from collections.abc import Iterator

from sqlalchemy import update

from belong_mail.groups.models import Group
from tests.browser.site import LEAD, SLUG, link_in

LONG_NAME = "Wolfeschlegelsteinhausenbergerdorff"


def strangers(page, site, address: str) -> Iterator[str]:
    """Stop at each page and name it; the browser's own language decides what is read."""
    yield from public(page)
    yield from _contact(page, address)
    yield from _join(page, site, address)
    yield from _personal(page, site, address)
    yield from _leave(page, site, address)
    yield from _note(page, site, address)
    _start(page, site, address)
    yield from _strangers(page, site, address)


def mails(site, address: str) -> Iterator[tuple[str, str]]:
    """Return name and HTML of every kind of mail to an address, or about it, and its like."""
    seen = set()
    for mail in site.mails():
        words = re.sub(r"\S*\d\S*", "", mail.subject).lower()
        name = "mail-" + re.sub(r"\W+", "-", words).strip("-")
        if address in mail.recipient + mail.text and name not in seen:
            seen.add(name)
            yield name, mail.html


def public(page) -> Iterator[str]:
    """Stop at each page that anyone may open."""
    for name, path in {
        "directory": "/",
        "group": f"/groups/{SLUG}",
        "group-upcoming": "/groups/autoimmune",
        "group-with-note": "/groups/african-american-black",
        "tell-me": "/groups/autoimmune/tell-me",
        "calendar": "/calendar",
        "calendar-of-group": f"/calendar?group={SLUG}",
        "month": "/calendar/2027-01",
        "new-colleagues": "/new-colleagues",
        "new-colleagues-sheet": "/new-colleagues/sheet",
        "poster": f"/groups/{SLUG}/poster",
        "poster-upcoming": "/groups/people-with-disabilities/poster",
        "privacy": "/privacy",
        "accessibility": "/accessibility",
        "sign-in": "/sign-in",
        "missing": "/nothing-here",
    }.items():
        page.goto(path)
        yield name


def _contact(page, address: str) -> Iterator[str]:
    page.goto("/contact")
    yield "contact"
    page.fill("[name=email]", "nobody")
    press(page)
    yield "contact-with-errors"
    page.fill("[name=email]", "writer-" + address)
    page.select_option("[name=topic]", "access")
    page.fill("[name=name]", "Ada " + LONG_NAME)
    page.fill("[name=message]", "We need an interpreter.\n\nOn Tuesday. " + "x" * 90)
    press(page)
    yield "contact-received"
    yield from _code(page)
    page.goto("/contact")
    page.fill("[name=message]", "x" * 300_000)
    press(page)
    yield "too-long"


def _code(page) -> Iterator[str]:
    """Write without an address, and come back with the code."""
    page.goto("/contact")
    page.select_option("[name=topic]", "need")
    page.fill("[name=message]", "Is there a room to pray in?")
    press(page)
    yield "contact-received-code"
    code = page.locator("code").nth(1).inner_text()
    page.goto("/contact/answer")
    yield "contact-answer"
    page.fill("[name=code]", "AAAA-AAAA")
    press(page)
    yield "contact-answer-with-errors"
    page.fill("[name=code]", code)
    press(page)
    yield "contact-thread"


def _note(page, site, address: str) -> Iterator[str]:
    """Wait for a group to start, and change one's mind."""
    waiting = "waiting-" + address
    page.goto("/groups/autoimmune/tell-me")
    press(page)
    yield "tell-me-with-errors"
    ask(page, waiting)
    yield "noted"
    page.goto("/my-groups")
    ask(page, waiting)
    page.goto(site.link_to(waiting, "forget-note"))
    yield "forget-note"
    press(page)
    yield "note-forgotten"


def _start(page, site, address: str) -> None:
    """Let a group start that somebody waits for; then take it away, for whoever looks later."""
    slug, waiting = f"new-{len(site.mails())}", "start-" + address
    site.flask("group", "add", slug, "Newest", "--upcoming")
    page.goto(f"/groups/{slug}/tell-me")
    ask(page, waiting)
    site.flask("group", "launch", slug)
    site.let_starts_be_final()
    site.mail_to(waiting)
    site.flask("group", "retire", slug)


def _join(page, site, address: str) -> Iterator[str]:
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


def _personal(page, site, address: str) -> Iterator[str]:
    """Join with a personal address, which nothing but a code joins to the staff’s."""
    slug, own = "latinx-hispanic", "home." + address
    personal = own.replace("@dpsk12.org", "@home.example")
    named = update(Group).where(Group.slug == slug)
    site.execute(named.values(allows_personal_addresses=True))
    page.goto(f"/groups/{slug}/join")
    yield "join-or-with-a-personal-address"
    page.goto(f"/groups/{slug}/join/personal")
    yield "ask-code"
    page.fill("[name=email]", "somebody@gmail.com")
    press(page)
    yield "ask-code-with-errors"
    ask(page, own)
    yield "join-with-code"
    page.fill("[name=code]", "2222-2222-2222")
    ask(page, own)
    yield "join-with-code-with-errors"
    [code] = re.findall(r"\b[2-9A-Z]{4}-[2-9A-Z]{4}-[2-9A-Z]{4}\b", site.mail_to(own).text)
    page.fill("[name=code]", code)
    ask(page, personal)
    site.mail_to(personal)


def _leave(page, site, address: str) -> Iterator[str]:
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


def _strangers(page, site, address: str) -> Iterator[str]:
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


def ask(page, address: str, *, is_introduced: bool = False) -> None:
    """Fill in a sign-up form as it stands there and send it."""
    page.fill("[name=email]", address)
    if page.locator("[name=first_name]").count():
        page.fill("[name=first_name]", "Ada")
    if is_introduced:
        page.check("[name=introduce_me]")
        page.locator("[name^=question]").first.check()
    press(page)


def press(page, button: str = "main form .button") -> None:
    """Press the page's one button, or a link, and wait for the next page."""
    with page.expect_navigation():
        page.locator(button).first.click()
