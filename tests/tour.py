"""A walk past every page and every mailed link that there is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from flask import Flask, template_rendered
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from belong_mail.accounts import inviting
from belong_mail.accounts import service as accounts
from belong_mail.app import DEVELOPMENT, PUBLIC
from belong_mail.contact import receipts
from belong_mail.contact import service as contact
from belong_mail.contact.service import Written
from belong_mail.db import new_public_id, now
from belong_mail.groups import service as groups
from belong_mail.mail.mailbox import Mailbox
from belong_mail.mail.message import Envelope
from belong_mail.mailbox import service as mails
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Image
from belong_mail.parts import Parts
from belong_mail.shared_mailbox import service as shared_mailbox
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.tokens import Purpose
from belong_mail.worker import Worker
from tests.factories import group_named, make_member, plan_meeting, queue_issue
from tests.people import Form, Visitor, link_to, path_of
from tests.servers.smtp import Server

GUEST = "guest@dpsk12.org"
MEMBER = "member@dpsk12.org"
MOVED = "moved@dpsk12.org"
LEAD = "walking.lead@dpsk12.org"
SHARED = "shared@dpsk12.org"
SLUG = "the-village"
PLAIN = (
    "/", "/privacy", "/check-your-inbox", "/contact", "/contact/answer", "/healthz", "/readyz",
    "/accessibility", "/robots.txt", "/.well-known/security.txt", "/favicon.ico",
    "/my-groups", "/my-groups/sent", "/sign-in", "/sign-in/sent", "/noted",
)  # fmt: skip
MAIL = b"Subject: Hello\r\n\r\nHello\r\n"


@dataclass(frozen=True)
class Stop:
    """A page on the walk; `is_private` is one that a mailed link opens."""

    name: str
    url: str
    is_private: bool = False


def mailed_links(
    visitor: Visitor, worker: Worker, relay: Server, parts: Parts, keyring: Keyring
) -> dict[str, str]:
    """Have every kind of mail sent and return its links that act, by page."""
    with parts.writing.begin() as session:
        make_member(session, keyring, MEMBER)
        queue_issue(session)
    visitor.join("lgbtq", GUEST)
    worker.drain()
    [asked] = relay.to(GUEST)
    [issue] = relay.to(MEMBER)
    with parts.writing.begin() as session:
        gone = make_member(session, keyring, "gone@dpsk12.org")
        gone.ended_at = now()
        undo = page_of(parts, "undo", Purpose.UNDO_LEAVE, gone.public_id)
    invite(parts, keyring)
    visitor.send("/sign-in", email=LEAD)
    visitor.send("/groups/autoimmune/tell-me", email=MEMBER)
    visitor.send("/my-groups", email=MEMBER)
    worker.drain()
    sheet = link_to(relay.to(MEMBER)[-1], "my-groups")
    note = link_to(relay.to(MEMBER)[-1], "forget-note")
    visitor.send(f"{bare(sheet)}/change-address", email=MOVED)
    worker.drain()
    return {
        "sign-in": link_to(relay.to(LEAD)[-1], "sign-in"),
        "my-groups": sheet,
        "forget-note": note,
        "change-address": link_to(relay.to(MOVED)[-1], "change-address"),
        "confirm": link_to(asked, "confirm"),
        "not-me": link_to(asked, "not-me"),
        "leave": link_to(issue, "leave"),
        "one-click": issue["List-Unsubscribe"].strip("<>"),
        "undo": undo,
        "result": page_of(parts, "result", Purpose.RESULT, "left~1~"),
        "confirm-mailbox": mailbox_link(parts, worker, relay),
    }


def page_of(parts: Parts, page: str, purpose: Purpose, public_id: str) -> str:
    """Return the link to a page that the pages alone lead to."""
    token = parts.tokens.sign(purpose, public_id, now())
    return f"{parts.settings.base_url}/{page}/{token}?lang=en"


def mailbox_link(parts: Parts, worker: Worker, relay: Server) -> str:
    """Have a lead name a mailbox, and return the link that is mailed there."""
    with parts.writing.begin() as session:
        group = group_named(session, SLUG)
        [lead] = accounts.leads_of(session, group)
        shared_mailbox.propose(session, parts.sealer, group, lead, SHARED, "en")
    worker.drain()
    return link_to(relay.to(SHARED)[-1], "confirm-mailbox")


def bare(url: str) -> str:
    """Return a link's path without its query."""
    return path_of(url).partition("?")[0]


def calendar_stops(parts: Parts) -> Iterator[Stop]:
    """List the pages and feeds of one meeting."""
    with parts.writing.begin() as session:
        meeting = plan_meeting(session, SLUG)
    month = f"{meeting.starts_on:%Y-%m}"
    for path in ("/calendar", f"/calendar?group={SLUG}", f"/calendar/{month}"):
        yield Stop("calendar", path)
    event = f"/meetings/{meeting.public_id}/{meeting.starts_on}.ics"
    for path in ("/calendar.ics", f"/groups/{SLUG}/calendar.ics", event):
        yield Stop("feed", path)


def mailbox_stops(parts: Parts) -> Iterator[Stop]:
    """List the pages of the development mailbox, with one mail in it."""
    folder = parts.settings.state_folder / "mailbox"
    Mailbox(folder).keep(Envelope("b@example.org", GUEST, MAIL), lambda: None)
    [kept] = mails.newest(folder, 1)
    yield Stop("mailbox", "/dev/mailbox")
    yield Stop("mail", f"/dev/mailbox/{kept.name}")
    yield Stop("html", f"/dev/mailbox/{kept.name}/html")


def stops(parts: Parts, links: dict[str, str], reference: str) -> Iterator[Stop]:
    """List every page that can be opened."""
    for path in PLAIN:
        yield Stop(path, path)
    with parts.reading.begin() as session:
        for group in groups.shown(session):
            yield Stop("group", f"/groups/{group.slug}")
            if group.is_open:
                yield Stop("join", f"/groups/{group.slug}/join")
            else:
                yield Stop("tell-me", f"/groups/{group.slug}/tell-me")
            yield Stop("poster", f"/groups/{group.slug}/poster")
    yield from calendar_stops(parts)
    yield Stop("received", f"/contact/received/{reference}")
    yield from mailbox_stops(parts)
    for path in ("", "/sheet", "/mail", "/mail.eml"):
        yield Stop("new-colleagues", f"/new-colleagues{path}")
    yield Stop("short", "/g/1")
    for name in ("belong.css", "paper.css", "compose.js", "progress.js"):
        yield Stop("style", f"/static/{name}")
    for name in ("change-address", "erase"):
        yield Stop(name, f"{bare(links['my-groups'])}/{name}", is_private=True)
    yield Stop("nowhere", "/nowhere")
    for name, url in links.items():
        yield Stop(name, url, is_private=True)
        yield Stop(f"bent {name}", url.replace(f"/{name}/", f"/{name}/x"), is_private=True)
        unknown = parts.tokens.sign(Purpose.LEAVE, new_public_id(), now())
        yield Stop(f"unknown {name}", f"/{name}/{unknown}", is_private=True)


def reference_of(visitor: Visitor) -> str:
    """Write to the office and return the reference that it answers with."""
    typed = {"message": "Where is the library?", "topic": "need", "email": GUEST}
    answer = visitor.send("/contact", **typed)
    return answer.location.rpartition("/")[2].partition("?")[0]


def pressed(visitor: Visitor, links: dict[str, str]) -> Iterator[tuple[str, TestResponse]]:
    """Press the button of every mailed link, in an order in which each does something."""
    yield "confirm", visitor.press(links["confirm"])
    yield "forget-note", visitor.press(links["forget-note"])
    yield "undo", visitor.press(links["undo"])
    until = f"{now() + timedelta(days=9):%Y-%m-%d}"
    leave, sheet = bare(links["leave"]), bare(links["my-groups"])
    yield "a newsletter's language", visitor.press(f"{leave}/language", language="es")
    for wish in ("yes", "no"):
        yield "a newsletter's reminder", visitor.press(f"{leave}/remind", remind=wish)
    yield "a newsletter's pause", visitor.press(f"{leave}/pause", until=until)
    [membership] = set(re.findall(r'name="membership" value="([^"]+)"', visitor.open(sheet).text))
    for verb, said in {
        "remind": {"remind": "yes"}, "pause": {f"{membership}:resume": "yes"},
        "language": {"language": "en"},
    }.items():  # fmt: skip
        yield f"my-groups {verb}", visitor.press(f"{sheet}/{verb}", membership=membership, **said)
    for verb in ("leave", "undo"):
        yield f"my-groups {verb}", visitor.press(f"{sheet}/{verb}", membership=membership)
    yield "my-groups copy", visitor.press(f"{sheet}/copy")
    yield "change-address", visitor.press(links["change-address"])
    yield "confirm-mailbox", visitor.press(links["confirm-mailbox"])
    yield "one-click", visitor.press(links["one-click"], **{"List-Unsubscribe": "One-Click"})
    yield "my-groups erase", visitor.press(f"{sheet}/erase")
    yield "leave", visitor.press(links["leave"])
    yield "not-me", visitor.press(links["not-me"], choice="never")
    yield "confirm again", visitor.press(links["confirm"])


def invite(parts: Parts, keyring: Keyring) -> None:
    """Let somebody lead the group through which the walk goes."""
    with parts.writing.begin() as session:
        group = group_named(session, SLUG)
        inviting.invite(session, keyring.opener, keyring.index, group, LEAD)
        inviting.invite_office(session, keyring.opener, keyring.index, LEAD)


def sign_in(app: Flask, parts: Parts, keyring: Keyring, worker: Worker, relay: Server) -> Visitor:
    """Return a browser, with its cookie, in which a lead is signed in."""
    invite(parts, keyring)
    lead = Visitor(app.test_client())
    lead.send("/sign-in", email=LEAD)
    worker.drain()
    assert lead.press(link_to(relay.to(LEAD)[-1], "sign-in")).status_code == 303
    return lead


def lead_stops(app: Flask, parts: Parts) -> Iterator[str]:
    """List every page that only leads can open, for a group and a draft of their own."""
    with parts.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, SLUG), "Tea on Friday", "Come.")
        image = Image(
            newsletter_id=issue.id, description="Tea", media_type="image/png", content=b"PNG",
            width=1, height=1,
        )  # fmt: skip
        session.add(image)
        session.flush()
        thread = begin_thread(session, parts)
        meeting = plan_meeting(session, SLUG)
        own = {
            "<slug>": SLUG,
            "<public_id>": issue.public_id,
            "<picture_id>": image.public_id,
            "<meeting_id>": meeting.public_id,
            "<reference>": thread,
            "<day>": meeting.starts_on.isoformat(),
        }
    for rule in app.url_map.iter_rules():
        if rule.endpoint not in PUBLIC | DEVELOPMENT and "GET" in (rule.methods or set()):
            yield re.sub("<[^>]+>", lambda found: own[found[0]], rule.rule)


def open_thread(visitor: Visitor, parts: Parts) -> TestResponse:
    """Open the thread of somebody who wrote to the office without an address."""
    code = receipts.new_code()
    with parts.writing.begin() as session:
        begin_thread(session, parts, code)
    return visitor.send("/contact/answer", code=code)


def begin_thread(session: Session, parts: Parts, code: str = "") -> str:
    """Have somebody write to the office without an address; return the reference."""
    written = Written("need", "Where is the library?")
    message = contact.receive(session, parts.sealer, "office@example.org", written, now())
    receipts.begin(session, message, code or receipts.new_code(), written.message)
    return message.reference


def all_of_a_lead(lead: Visitor, parts: Parts) -> Iterator[TestResponse]:
    """Open every page of a lead, with an issue that is a draft and one that is released."""
    places = list(lead_stops(lead.client.application, parts))
    for place in places:
        yield lead.open(place)
    [release] = [place for place in places if place.endswith("/release")]
    yield lead.send(release, when="now", minutes="10")
    for place in places:
        yield lead.open(place)
    token = Form(lead.open("/lead/").text).fields["csrf_token"]
    yield lead.press(release.replace("/release", "/undo"), csrf_token=token)


def record_templates(app: Flask, names: set[str]) -> None:
    """Note the name of every template that a page is made of."""

    def note(_app: Flask, template: object, **_: object) -> None:
        names.add(str(getattr(template, "name", "")))

    template_rendered.connect(note, app, weak=False)
