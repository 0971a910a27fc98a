"""Freezing an issue: rendered once for each language, built once, and filled for each member."""

import hashlib
import logging
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import and_, bindparam, false, func, not_, select
from sqlalchemy.orm import Session

from belong_mail import languages
from belong_mail.db import NO_DATABASE, UtcTime, among, now
from belong_mail.groups import mailboxes
from belong_mail.groups.models import Group
from belong_mail.languages import DEFAULT
from belong_mail.mail.message import Envelope, Wire, date_header, mailbox, slot
from belong_mail.newsletters import placeholders
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Frozen, Newsletter
from belong_mail.newsletters.rendering import Words, bind, render
from belong_mail.opening import CannotOpen
from belong_mail.outbox.letters import NO_ANSWERS, Desk
from belong_mail.sending.models import Delivery, State
from belong_mail.sending.writing import Halted, NotSent, Writing
from belong_mail.subscriptions.models import Subscription
from belong_mail.tokens import Purpose

WIRE = "frozen_issues.wire"
log = logging.getLogger(__name__)


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
        self._wires: dict[tuple[int, str], Wire | None] = {}
        self._prepared: dict[int, dict[str, object]] = {}
        self.chosen = newsletters.members_of_chunk()

    def prepare(self, session: Session, newsletter_id: int) -> dict[str, object]:
        """Freeze an issue (one worker at a time) and return what its members are chosen by.

        Of an issue that cannot be written each delivery fails, and the rest goes on.
        """
        if newsletter_id in self._prepared:
            return self._prepared[newsletter_id]
        newsletter = session.get_one(Newsletter, newsletter_id, with_for_update={"key_share": True})
        chosen_by: dict[str, object] = {
            "group_id": newsletter.group_id,
            "queued_at": newsletter.queued_at,
        }
        try:
            with session.begin_nested():
                freeze(session, self._desk, newsletter)
        except NO_DATABASE:
            raise
        except Exception as error:  # noqa: BLE001 - a poisoned issue must not stop the others
            log.error("Newsletter %d cannot be written: %s", newsletter_id, type(error).__name__)  # noqa: TRY400
        self._prepared[newsletter_id] = chosen_by
        return chosen_by

    def writings(self, session: Session, ids: list[int]) -> Iterator[tuple[int, Writing]]:
        """Read what it takes to write these members' copies, in one query; others are left out."""
        for row in session.connection().execute(_READING, {"ids": ids, "at": now()}):
            newsletter_id, language = row[1], row[2] or DEFAULT
            key = (newsletter_id, language)
            if key not in self._wires:
                self._wires[key] = self._load(session, newsletter_id, language)
            yield row[0], partial(self._write, row, self._wires[key])

    def _write(self, row: Any, wire: Wire | None) -> Envelope:
        """Write one member's copy.

        Raises NotSent when they have left or paused since, Halted when the issue was.
        """
        number, _, language, at, is_stopped, is_paused, public_id, address, name, *rights = row
        is_suppressed, is_reader = rights
        if is_stopped or not is_reader:
            raise NotSent(State.SUPPRESSED if is_suppressed else State.WITHDRAWN)
        if is_paused:
            raise Halted
        if wire is None:
            raise CannotOpen(WIRE)
        unwrap, signed = self._desk.opener.unwrap, self._desk.links.signed
        to = unwrap(address, "subscriptions.wrapped_address", public_id).decode()
        return_path, message_id = self._desk.names.of(number)
        values = {
            "to": mailbox("", to),
            "date": _date(at),
            "message_id": message_id,
            "one_click_url": signed("subscriptions.one_click", Purpose.ONE_CLICK, public_id, at),
            "leave_url": signed("subscriptions.leave", Purpose.LEAVE, public_id, at, language),
        }
        if "first_name" in wire.slots:
            own = unwrap(name, "subscriptions.wrapped_name", public_id).decode() if name else ""
            values["first_name"] = placeholders.first_name(own, language)
        return Envelope(return_path, to, wire.fill(values), is_verified=True)

    def _load(self, session: Session, newsletter_id: int, language: str) -> Wire | None:
        """Return an issue's finished bytes; None, once it is logged, if they cannot be had."""
        frozen = session.get(Frozen, (newsletter_id, language))
        public_id = session.get_one(Newsletter, newsletter_id).public_id
        if frozen is None:
            return None
        if not any(kept == newsletter_id for kept, _ in self._wires):
            self._wires.clear()
        try:
            made = self._desk.opener.unwrap(frozen.wire, WIRE, f"{public_id}/{language}")
        except CannotOpen:
            return None
        return Wire.from_bytes(made)


def _reading() -> Any:
    is_paused = Subscription.paused_until > bindparam("at", type_=UtcTime())
    return (
        select(
            Delivery.id,
            Delivery.newsletter_id,
            Subscription.language,
            Delivery.created_at,
            Newsletter.stopped_at.is_not(None).label("is_stopped"),
            Newsletter.paused_at.is_not(None).label("is_paused"),
            Subscription.public_id,
            Subscription.wrapped_address,
            Subscription.wrapped_name,
            Subscription.is_suppressed,
            and_(Subscription.is_active, not_(func.coalesce(is_paused, false()))).label(
                "is_reader"
            ),
        )
        .join(Newsletter, Newsletter.id == Delivery.newsletter_id)
        .outerjoin(Subscription, Subscription.id == Delivery.subscription_id)
        .where(Delivery.id.in_(among("ids")))
    )


_READING = _reading()
_date = lru_cache(maxsize=64)(date_header)
