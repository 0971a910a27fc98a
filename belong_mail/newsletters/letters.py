"""Freezing an issue: rendered once for each language, built once, and filled for each member."""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import and_, bindparam, false, func, not_, select, true
from sqlalchemy.orm import Session

from belong_mail import languages
from belong_mail.db import NO_DATABASE, Direct, UtcTime, among, now
from belong_mail.groups import mailboxes
from belong_mail.languages import DEFAULT
from belong_mail.mail.message import Envelope, Stencil, Wire, date_header, mailbox, slot
from belong_mail.newsletters import placeholders
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Frozen, Newsletter
from belong_mail.newsletters.rendering import Words, bind, render
from belong_mail.opening import CannotOpen
from belong_mail.outbox.letters import NO_ANSWERS, Desk
from belong_mail.sending.models import Delivery, State
from belong_mail.sending.writing import Halted, NotSent, Writing
from belong_mail.subscriptions.models import Subscription
from belong_mail.upserts import inserting

WIRE = "frozen_issues.wire"
log = logging.getLogger(__name__)


def freeze(session: Session, desk: Desk, newsletter: Newsletter) -> bool:
    """Make the bytes that every member gets, once; tell whether any were still to be made.

    Of two workers who do it at once, the first counts. What differs stays open as a slot. They are
    wrapped: who can write to the database must not be able to open other slots in them.
    """
    frozen = select(Frozen.language).where(Frozen.newsletter_id == newsletter.id)
    done = set(session.scalars(frozen))
    missing = [language for language in languages.NAMES if language not in done]
    entering = inserting(session.connection().dialect.name)(Frozen).on_conflict_do_nothing()
    for language in missing:
        made = build(desk, newsletter, language).to_bytes()
        wrapped = desk.opener.wrap(made, WIRE, f"{newsletter.public_id}/{language}")
        row = {"newsletter_id": newsletter.id, "language": language, "wire": wrapped}
        session.execute(entering.values(row))
    return bool(missing)


def build(desk: Desk, newsletter: Newsletter, language: str, *, prefix: str = "") -> Wire:
    """Render an issue and build its message (RFC 5322, 2369, 2919, 8058)."""
    words = Words(newsletter.subject, newsletter.text, newsletter.subject_es, newsletter.text_es)
    leave_url = slot("leave").join(desk.links.frame("subscriptions.leave", language))
    one_click_url = slot("one_click").join(desk.links.frame("subscriptions.one_click"))
    rendered = render(
        desk.renderer, newsletter.group, words, language, newsletter.images, leave_url
    )
    headers = [
        ("From", desk.sender),
        ("To", slot("to")),
        ("Reply-To", mailbox("", mailboxes.of(desk.opener, newsletter.group) or desk.office)),
        ("Subject", prefix + rendered.subject),
        ("Date", slot("date")),
        ("Message-ID", slot("message_id")),
        ("List-Id", f"<{desk.names.list_id(newsletter.group.public_id)}>"),
        ("List-Unsubscribe", f"<{one_click_url}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("List-Owner", f"<mailto:{desk.office}>"),
        ("List-Post", "NO"),
        ("Precedence", "list"),
        ("X-Auto-Response-Suppress", NO_ANSWERS),
    ]
    boundary = hashlib.sha256(newsletter.public_id.encode()).hexdigest()[:32]
    return bind(headers, rendered, newsletter.images, boundary)


@dataclass(frozen=True, slots=True)
class Pen:
    """What one issue's copies in one language have in common."""

    stencil: Stencil
    date: str
    tokens: tuple[tuple[str, placeholders.Token], ...]
    """The slots of links, and what fills each for a public id."""


class Press:
    """Fills frozen issues for their members; keeps the issue it is at work on."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._pens: dict[tuple[int, str], Pen | None] = {}
        self._prepared: dict[int, dict[str, Any]] = {}
        self._is_sure = True
        """Whether what we froze last is known to be committed; nothing is kept before."""
        self.chosen = newsletters.members_of_chunk(*_OF_A_READER)

    def prepare(self, session: Session, newsletter_id: int) -> dict[str, Any]:
        """Freeze an issue, unless another worker does, and return what its members are chosen by.

        Of an issue that cannot be written each delivery fails, and the rest goes on.
        """
        if newsletter_id in self._prepared:
            return self._prepared[newsletter_id]
        newsletter = session.get_one(Newsletter, newsletter_id)
        self._pens.clear()
        try:
            with session.begin_nested():
                self._is_sure = not freeze(session, self._desk, newsletter)
        except (*NO_DATABASE, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - a poisoned issue must not stop the others
            log.error("Newsletter %d cannot be written: %s", newsletter_id, type(error).__name__)  # noqa: TRY400
        chosen_by = {"group_id": newsletter.group_id, "queued_at": newsletter.queued_at}
        return self._prepared.setdefault(newsletter_id, chosen_by) if self._is_sure else chosen_by

    def read(self, session: Session, ids: list[int]) -> Iterator[tuple[int, Writing]]:
        """Read what it takes to write these members' copies, in one query; others are left out."""
        rows, _ = _READING.run(session.connection(), {"ids": ids, "at": now()})
        return self.writings(session, rows)

    def writings(self, session: Session, rows: Iterable[Any]) -> Iterator[tuple[int, Writing]]:
        """Turn what was read of members into what writes their copies."""
        if not self._is_sure:
            self._pens.clear()
        for row in rows:
            key = (row[1], row[2] or DEFAULT)
            if key not in self._pens:
                self._pens[key] = self._pen(session, *key)
            yield row[0], partial(self._write, row, self._pens[key])

    def _write(self, row: Any, pen: Pen | None) -> Envelope:
        """Write one member's copy.

        Raises NotSent when they have left or paused since, Halted when the issue was.
        """
        number, _, language, is_stopped, is_paused, is_suppressed, is_reader, *own = row
        if is_stopped or not is_reader:
            raise NotSent(State.SUPPRESSED if is_suppressed else State.WITHDRAWN)
        if is_paused:
            raise Halted
        if pen is None:
            raise CannotOpen(WIRE)
        (public_id, address, name), unwrap = own, self._desk.opener.unwrap
        to = unwrap(address, "subscriptions.wrapped_address", public_id).decode()
        return_path, message_id = self._desk.names.of(number)
        values = {"to": mailbox("", to), "date": pen.date, "message_id": message_id}
        for slot_name, token in pen.tokens:
            values[slot_name] = token(public_id)
        if "first_name" in pen.stencil.wire.slots:
            named = unwrap(name, "subscriptions.wrapped_name", public_id).decode() if name else ""
            values["first_name"] = placeholders.first_name(named, language)
        return Envelope(return_path, to, pen.stencil.fill(values), is_verified=True)

    def _pen(self, session: Session, newsletter_id: int, language: str) -> Pen | None:
        """Return what writes an issue's copies; None if its finished bytes cannot be had."""
        frozen = session.get(Frozen, (newsletter_id, language))
        newsletter = session.get_one(Newsletter, newsletter_id)
        at = newsletter.queued_at
        if frozen is None or at is None:
            return None
        if not any(kept == newsletter_id for kept, _ in self._pens):
            self._pens.clear()
        try:
            made = self._desk.opener.unwrap(frozen.wire, WIRE, f"{newsletter.public_id}/{language}")
        except CannotOpen:
            return None
        wire, tokens = Wire.from_bytes(made), placeholders.tokens(self._desk.links, at, language)
        used = tuple((name, token) for name, token in tokens if name in wire.slots)
        return Pen(Stencil(wire), date_header(at), used)


_OWN = (Subscription.public_id, Subscription.wrapped_address, Subscription.wrapped_name)
_is_paused = func.coalesce(Subscription.paused_until > bindparam("at", type_=UtcTime()), false())
_READING = Direct(
    select(
        Delivery.id,
        Delivery.newsletter_id,
        Subscription.language,
        Newsletter.stopped_at.is_not(None).label("is_stopped"),
        Newsletter.paused_at.is_not(None).label("is_paused"),
        Subscription.is_suppressed,
        and_(Subscription.is_active, not_(_is_paused)).label("is_reader"),
        *_OWN,
    )
    .join(Newsletter, Newsletter.id == Delivery.newsletter_id)
    .outerjoin(Subscription, Subscription.id == Delivery.subscription_id)
    .where(among(Delivery.id, "ids"))
)
_newsletter_id = bindparam("newsletter_id", type_=Newsletter.id.type)
_OF_A_READER = (_newsletter_id, Subscription.language, false(), false(), false(), true(), *_OWN)
"""The same of a member who was just chosen: a reader, of an issue that goes out."""
