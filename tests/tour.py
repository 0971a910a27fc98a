"""A walk past every page and every mailed link that there is."""

from collections.abc import Iterator
from dataclasses import dataclass

from flask import Flask, template_rendered
from werkzeug.test import TestResponse

from belong_mail.db import new_public_id, now
from belong_mail.groups import service as groups
from belong_mail.mail.mailbox import Mailbox
from belong_mail.mail.message import Envelope
from belong_mail.parts import Parts
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.tokens import Purpose
from belong_mail.worker import Worker
from tests.factories import make_member, queue_issue
from tests.people import Visitor, link_to
from tests.servers.smtp import Server

GUEST = "guest@dpsk12.org"
MEMBER = "member@dpsk12.org"
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
        undo = parts.links.signed(
            "subscriptions.undo", Purpose.UNDO_LEAVE, gone.public_id, now(), "en"
        )
    return {
        "confirm": link_to(asked, "confirm"),
        "not-me": link_to(asked, "not-me"),
        "leave": link_to(issue, "leave"),
        "one-click": issue["List-Unsubscribe"].strip("<>"),
        "undo": undo,
    }


def stops(parts: Parts, links: dict[str, str], reference: str) -> Iterator[Stop]:
    """List every page that can be opened."""
    box = Mailbox(parts.settings.state_folder / "mailbox")
    box.send(Envelope("b@example.org", GUEST, MAIL), lambda: None)
    [kept] = box.newest(1)
    for path in ("/", "/privacy", "/check-your-inbox", "/contact", "/healthz", "/readyz"):
        yield Stop(path, path)
    with parts.reading.begin() as session:
        for group in groups.shown(session):
            yield Stop("group", f"/groups/{group.slug}")
            if group.is_open:
                yield Stop("join", f"/groups/{group.slug}/join")
    yield Stop("received", f"/contact/received/{reference}")
    yield Stop("mailbox", "/dev/mailbox")
    yield Stop("mail", f"/dev/mailbox/{kept.name}")
    yield Stop("html", f"/dev/mailbox/{kept.name}/html")
    yield Stop("style", "/static/belong.css")
    yield Stop("nowhere", "/nowhere")
    for name, url in links.items():
        yield Stop(name, url, is_private=True)
        yield Stop(f"bent {name}", url.replace(f"/{name}/", f"/{name}/x"), is_private=True)
        unknown = parts.tokens.sign(Purpose.LEAVE, new_public_id(), now())
        yield Stop(f"unknown {name}", f"/{name}/{unknown}", is_private=True)


def reference_of(visitor: Visitor) -> str:
    """Write to the office and return the reference that it answers with."""
    answer = visitor.send("/contact", message="Where is the library?", topic="need")
    return answer.location.rpartition("/")[2].partition("?")[0]


def pressed(visitor: Visitor, links: dict[str, str]) -> Iterator[tuple[str, TestResponse]]:
    """Press the button of every mailed link, in an order in which each does something."""
    yield "confirm", visitor.press(links["confirm"])
    yield "undo", visitor.press(links["undo"])
    yield "one-click", visitor.press(links["one-click"], **{"List-Unsubscribe": "One-Click"})
    yield "leave", visitor.press(links["leave"])
    yield "not-me", visitor.press(links["not-me"], choice="never")
    yield "confirm again", visitor.press(links["confirm"])


def record_templates(app: Flask, names: set[str]) -> None:
    """Note the name of every template that a page is made of."""

    def note(_app: Flask, template: object, **_: object) -> None:
        names.add(str(getattr(template, "name", "")))

    template_rendered.connect(note, app, weak=False)
