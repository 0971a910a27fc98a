"""Freezing an issue: rendered once for each language, built once, and filled for each member."""

import hashlib

from sqlalchemy.orm import Session

from belong_mail import languages
from belong_mail.groups import mailboxes
from belong_mail.groups.models import Group
from belong_mail.mail.message import Envelope, Wire, date_header, mailbox, slot
from belong_mail.newsletters import placeholders
from belong_mail.newsletters.models import Frozen, Newsletter
from belong_mail.newsletters.rendering import Words, bind, render
from belong_mail.outbox.letters import NO_ANSWERS, Desk
from belong_mail.sending.engine import Halted, NotSent
from belong_mail.sending.models import Delivery, State
from belong_mail.subscriptions.letters import leave_link, reader
from belong_mail.subscriptions.receiving import Keyring
from belong_mail.tokens import Purpose

WIRE = "frozen_issues.wire"


def freeze(session: Session, desk: Desk, newsletter: Newsletter) -> None:
    """Make the bytes that every member gets, once; what differs stays open as a slot.

    They are wrapped: who can write to the database must not be able to open other slots in them.
    """
    for language in languages.NAMES:
        if session.get(Frozen, (newsletter.id, language)) is None:
            made = build(desk, newsletter, language).to_bytes()
            wrapped = desk.opener.wrap(made, WIRE, f"{newsletter.public_id}/{language}")
            session.add(Frozen(newsletter_id=newsletter.id, language=language, wire=wrapped))


def build(desk: Desk, newsletter: Newsletter, language: str, *, prefix: str = "") -> Wire:
    """Render an issue and build its message (RFC 5322, 2369, 2919, 8058)."""
    words = Words(newsletter.subject, newsletter.text, newsletter.subject_es, newsletter.text_es)
    rendered = render(desk.renderer, newsletter.group, words, language, newsletter.images)
    headers = [
        ("From", desk.sender),
        ("To", slot("to")),
        ("Reply-To", mailbox("", mailbox_of(desk, newsletter.group))),
        ("Subject", prefix + rendered.subject),
        ("Date", slot("date")),
        ("Message-ID", slot("message_id")),
        ("List-Id", f"<{desk.names.list_id(newsletter.group.public_id)}>"),
        ("List-Unsubscribe", f"<{slot('one_click_url')}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Owner", f"<mailto:{desk.office}>"),
        ("List-Post", "NO"),
        ("Precedence", "list"),
        ("X-Auto-Response-Suppress", NO_ANSWERS),
    ]
    boundary = hashlib.sha256(newsletter.public_id.encode()).hexdigest()[:32]
    return bind(headers, rendered, newsletter.images, boundary)


def mailbox_of(desk: Desk, group: Group) -> str:
    """Return where replies to a group go: its leads' shared mailbox, else the office."""
    return mailboxes.of(desk.opener, group) or desk.office


class Press:
    """Fills frozen issues for their members; keeps the issue it is at work on."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._keyring = Keyring(desk.opener, desk.index)
        self._wires: dict[tuple[int, str], Wire] = {}

    def envelope(self, session: Session, delivery: Delivery) -> Envelope:
        """Write one member's copy, or raise NotSent when they have left or paused since."""
        subscription = reader(session, delivery)
        newsletter = session.get_one(Newsletter, delivery.newsletter_id)
        if newsletter.stopped_at is not None:
            raise NotSent(State.WITHDRAWN)
        if newsletter.paused_at is not None:
            raise Halted
        address = self._keyring.address(subscription)
        wire = self._wire(session, delivery, subscription.language)
        signed = self._desk.links.signed
        public_id, at = subscription.public_id, delivery.created_at
        one_click = signed("subscriptions.one_click", Purpose.ONE_CLICK, public_id, at)
        values = {
            "to": mailbox("", address),
            "date": date_header(at),
            "message_id": self._desk.names.message_id(delivery.id),
            "one_click_url": one_click,
            "leave_url": leave_link(self._desk, subscription, delivery),
        }
        if "first_name" in wire.slots:
            name = self._keyring.name(subscription)
            values["first_name"] = placeholders.first_name(name, subscription.language)
        message = wire.fill(values)
        return Envelope(self._desk.names.return_path(delivery.id), address, message)

    def _wire(self, session: Session, delivery: Delivery, language: str) -> Wire:
        key = (delivery.newsletter_id or 0, language)
        if key not in self._wires:
            public_id = session.get_one(Newsletter, delivery.newsletter_id).public_id
            wrapped = session.get_one(Frozen, key).wire
            made = self._desk.opener.unwrap(wrapped, WIRE, f"{public_id}/{language}")
            self._wires.clear()
            self._wires[key] = Wire.from_bytes(made)
        return self._wires[key]
