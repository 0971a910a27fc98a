"""Render an issue once for each language, and fill in a copy for each member."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import and_, bindparam, false, func, not_, or_, select
from sqlalchemy.orm import Session

from belong_mail.core import i18n
from belong_mail.core.database_errors import NO_DATABASE, is_too_slow
from belong_mail.core.db import UtcTime, new_public_id, now, update_if_free
from belong_mail.core.decryption import DecryptionError, UnknownKey
from belong_mail.core.i18n import DEFAULT, known_language
from belong_mail.core.links import Links
from belong_mail.core.services import Settings
from belong_mail.core.statements import in_ids
from belong_mail.core.tokens import Purpose
from belong_mail.delivery import pause
from belong_mail.delivery.dispatcher import ChunkMembers, Compose, IssuePaused, SkipDelivery
from belong_mail.delivery.mailer import SUPPRESSED_RESPONSES, Mailer
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.delivery.work import (
    LARGE_WRAPPED_ROWS,
    WRAPPED_COLUMNS,
    Declared,
    WrappedColumn,
)
from belong_mail.groups import mailbox
from belong_mail.groups.models import Group
from belong_mail.mail.address import normalise
from belong_mail.mail.message.headers import format_mailbox
from belong_mail.mail.message.mime import Copy, date_header
from belong_mail.mail.message.template import MessageTemplate, slot
from belong_mail.members import erasure
from belong_mail.members.models import Subscription
from belong_mail.members.wrapped_fields import ADDRESS_COLUMN
from belong_mail.members.wrapped_fields import row_of as of_member
from belong_mail.newsletters import files
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.checklist import FitMessage, UnfitIssue
from belong_mail.newsletters.models import Newsletter, RenderedIssue
from belong_mail.newsletters.rendering import IssueText, bind, first_name, render

TEMPLATE_COLUMN = "rendered_issues.wire"
_ISSUE = (
    select(Newsletter.public_id + "/" + Group.public_id)
    .join(Group, Group.id == Newsletter.group_id)
    .where(Newsletter.id == RenderedIssue.newsletter_id)
    .scalar_subquery()
)
WRAPPED_COLUMNS.append(
    WrappedColumn(
        RenderedIssue.wire,
        TEMPLATE_COLUMN,
        _ISSUE + "/" + RenderedIssue.language,
        LARGE_WRAPPED_ROWS,
    )
)
log = logging.getLogger(__name__)
Headers = list[tuple[str, str]]


# By kind of delivery: return what writes a copy of an issue, or raise SkipDelivery.
COPIES = Declared[Callable[[Session, Mailer, Delivery], Compose]]()
writes_copy = COPIES.of


def keep_messages(
    session: Session, mailer: Mailer, newsletter: Newsletter, made: Mapping[str, FitMessage]
) -> None:
    """Store an issue's message in each language; fails if the issue was queued before.

    Slots, for words that differ by member, are filled in later. Messages are encrypted, so that an
    intruder in the database cannot add slots.
    """
    for language, fit in made.items():
        row, wire = issue_row(newsletter, language), fit.template.to_bytes()
        wrapped = mailer.keys.opener.wrap(wire, TEMPLATE_COLUMN, row)
        kept = RenderedIssue(newsletter_id=newsletter.id, language=language, wire=wrapped)
        session.add(kept)


def issue_row(newsletter: Newsletter, language: str) -> str:
    """Return a stored message's associated data; it has the group, whose mailbox gets replies.

    Quotes ids, as the web could write one with a slash, so that two issues share their data.
    """
    ids = (newsletter.public_id, newsletter.group.public_id)
    return "/".join(quote(each, safe="") for each in (*ids, language))


def build(
    mailer: Mailer,
    newsletter: Newsletter,
    language: str,
    *,
    prefix: str = "",
    copy_for: str = "",
) -> FitMessage:
    """Render an issue and build its message (RFC 5322, 2369, 2919, 8058). Raises UnfitIssue."""
    is_long = any(len(each) > newsletters.MAX_TEXT for each in newsletter.text.values())
    if is_long or not files.are_few(newsletter):
        raise UnfitIssue(())  # no form accepts it, and some checks take quadratic time
    words = IssueText.from_issue(newsletter)
    leave_url = slot("leave").join(mailer.links.frame("subscriptions.manage", language))
    replies_to = mailbox.reply_address(mailer.keys.opener, newsletter.group)
    rendered = render(
        mailer.renderer,
        newsletter.group,
        words,
        language,
        newsletter.images,
        leave_url,
        have_leads_replies=bool(replies_to),
        copy_for=copy_for,
    )
    label = mailer.keys.index.list_label(newsletter.group.public_id)
    leaving = [] if copy_for else leaving_headers(mailer.settings, mailer.links)
    subject = prefix + rendered.subject
    headers = headers_of(mailer.settings, mailer.names, label, subject, leaving, replies_to)
    boundary = hashlib.sha256(newsletter.public_id.encode()).hexdigest()[:32]
    attached = files.attached(newsletter.flyers)
    made = bind(headers, rendered, newsletter.images, boundary, attached)
    return FitMessage(newsletter, made, language, mailer.links.root)


def fit_messages(mailer: Mailer, newsletter: Newsletter) -> dict[str, FitMessage]:
    """Return an issue's message in each language; none if the gate refuses one of them."""
    try:
        return {language: build(mailer, newsletter, language) for language in i18n.NAMES}
    except (*NO_DATABASE, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - a poisoned issue must not stop the others
        log.warning(
            "Newsletter %d is held: something in it has to change first. Its page says what, and"
            " its group's leaders are asked (%s).",
            newsletter.id,
            type(error).__name__,
        )
    return {}


def headers_of(
    settings: Settings,
    names: VerpAddresses,
    label: bytes,
    subject: str,
    leaving: Headers,
    replies_to: str = "",
) -> Headers:
    """Return the headers of a newsletter."""
    office = settings.contact_inbox
    return [
        ("From", settings.sender),
        ("To", slot("to")),
        ("Reply-To", format_mailbox("", replies_to or office)),
        ("Subject", subject),
        ("Date", slot("date")),
        ("Message-ID", slot("message_id")),
        ("List-Id", f"<{names.list_id(label)}>"),
        *leaving,
        ("List-Owner", f"<mailto:{office}>"),
        ("List-Post", "NO"),
        ("Precedence", "list"),
        ("X-Auto-Response-Suppress", SUPPRESSED_RESPONSES),
    ]


def leaving_headers(settings: Settings, links: Links) -> Headers:
    """Return the headers for one-click unsubscription, https first (RFC 8058)."""
    url = slot("one_click").join(links.frame("subscriptions.one_click"))
    ways = [f"<{url}>"]
    if settings.has_inbound:
        ways.append(f"<mailto:{slot('leave_address')}?subject=unsubscribe>")
    post = ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
    return [("List-Unsubscribe", ", ".join(ways)), post]


def copy_for(
    mailer: Mailer, delivery: Delivery, message: FitMessage, to: str, language: str
) -> Copy:
    """Return an issue's copy for a leader or the office; its words are in `language`."""
    values = {
        "to": format_mailbox("", to),
        "date": date_header(delivery.created_at),
        "message_id": mailer.names.message_id(delivery.id, normalise(to)),
        "first_name": first_name("", language),
    }
    used = {name: values[name] for name in message.template.slots}
    return Copy(message, mailer.names.return_path(delivery.id), to, used)


class IssueTemplate:
    """An issue's checked message in one language, with the values that all copies share."""

    def __init__(
        self,
        mailer: Mailer,
        newsletter: Newsletter,
        at: datetime,
        language: str,
        wire: MessageTemplate,
    ) -> None:
        """Ask the gate about a stored message. Raises UnfitIssue."""
        self.date = date_header(at)
        ways = (
            ("leave", mailer.links.signer(Purpose.LEAVE, at)),
            ("one_click", mailer.links.signer(Purpose.ONE_CLICK, at)),
            ("leave_address", mailer.names.leave_address),
        )
        self.tokens = tuple((name, token) for name, token in ways if name in wire.slots)
        """Slots for links, each with a function from a member's public id to its value."""
        ours = {name: token(new_public_id()) for name, token in self.tokens}
        ours |= {"date": self.date, "message_id": mailer.names.message_id(0, "")}
        self.message: Final = FitMessage(newsletter, wire, language, mailer.links.root, ours)
        self.group = newsletter.group.public_id
        """Associated data of its members' addresses."""
        self.language = IssueText.from_issue(newsletter).of(language)[2]
        """Language of its text, which may differ from a reader's."""


class IssueMailer:
    """Fills in copies of rendered issues for members; caches the current issue."""

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer
        self._writers: dict[tuple[int, str], IssueTemplate | Exception] = {}
        self.prepared: dict[str, Any] = {}
        self.chosen: ChunkMembers = partial(newsletters.chunk_members_query, _OF_A_READER)

    def prepare(self, session: Session, newsletter_id: int) -> dict[str, Any]:
        """Return the query parameters that select an issue's members.

        Raises IssuePaused, and pauses the issue, if its row cannot be read.
        """
        if self.prepared.get("newsletter_id") == newsletter_id:
            return self.prepared
        self._writers.clear()
        try:
            with session.begin_nested():
                newsletter = session.get_one(Newsletter, newsletter_id)
                session.info[Newsletter] = newsletter  # kept: `_writer` needs not read it again
                erasure.leave_out(session, self._mailer.keys.opener, newsletter.group)
        except (*NO_DATABASE, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
            self._pause(session, newsletter_id, f"it cannot be read ({type(error).__name__})")
            raise IssuePaused from None
        self.prepared = {
            "newsletter_id": newsletter_id,
            "group_id": newsletter.group_id,
            "queued_at": newsletter.queued_at,
        }
        return self.prepared

    def forget(self) -> None:
        self.prepared = {}
        self._writers.clear()

    def read(self, session: Session, ids: list[int]) -> Iterator[tuple[int, Compose]]:
        """Read what these deliveries' copies need, in one query; unknown ids are left out."""
        return self.composers(session, session.execute(_READING, {"ids": ids, "at": now()}))

    def composers(self, session: Session, rows: Iterable[Any]) -> Iterator[tuple[int, Compose]]:
        """Yield the id of each row's delivery, and a function that writes the member's copy."""
        if any(isinstance(each, NO_DATABASE) for each in self._writers.values()):
            self._writers.clear()
        for row in rows:
            # The web could write any number of languages, each of which would have a message here.
            key = (row[1], known_language(row[2]))
            template = self._writers.get(key)
            if template is None or isinstance(template, UnknownKey):
                try:
                    with session.begin_nested():
                        template = self._writer(session, *key)
                except Exception as error:
                    if isinstance(error, (*NO_DATABASE, OSError)) and not is_too_slow(error):
                        raise
                    template = error  # its copies wait or fail, and other email goes on
                self._writers[key] = template
            yield row[0], partial(self._write, row, template)

    def _write(self, row: Any, template: IssueTemplate | Exception) -> Copy:
        """Write one member's copy.

        The address can be decrypted only for this row and group. The blind index is not checked, as
        it finds nothing here. Raises SkipDelivery if the member has left or paused since, or the
        group is retired. Raises IssuePaused if the issue is paused or stopped, or the group has
        ended: then the worker withdraws the copies.
        """
        number, _, _, public_id, address, name, *asked = row
        if asked:
            is_retired, is_halted, is_suppressed, is_reader = asked
            if is_retired or not is_reader:
                raise SkipDelivery(State.SUPPRESSED if is_suppressed else State.WITHDRAWN)
            if is_halted:
                raise IssuePaused
        if isinstance(template, Exception):
            raise template
        names, unwrap = self._mailer.names, self._mailer.keys.opener.unwrap
        to = unwrap(address, ADDRESS_COLUMN, of_member(public_id, template.group)).decode()
        values = {
            "to": to,
            "date": template.date,
            "message_id": names.message_id(number, normalise(to)),
        }
        for slot_name, token in template.tokens:
            values[slot_name] = token(public_id)
        if "first_name" in template.message.template.slots:
            named = unwrap(name, "subscriptions.wrapped_name", public_id).decode() if name else ""
            values["first_name"] = first_name(named, template.language)
        return Copy(template.message, names.return_path(number), to, values)

    def _writer(
        self, session: Session, newsletter_id: int, language: str
    ) -> IssueTemplate | Exception:
        """Return the template of an issue's copies, or an exception to raise for each of them.

        If the gate refuses it, the issue is paused. A language that was added since the issue was
        queued is replaced by the default.
        """
        newsletter = session.get_one(Newsletter, newsletter_id)
        frozen = session.get(RenderedIssue, (newsletter_id, language))
        frozen = frozen or session.get(RenderedIssue, (newsletter_id, DEFAULT))
        at = newsletter.queued_at
        if frozen is None or at is None:
            self._pause(session, newsletter_id, "its message is missing: stop it and send it again")
            return IssuePaused()
        if not any(kept == newsletter_id for kept, _ in self._writers):
            self._writers.clear()
        try:
            made = self._mailer.keys.opener.unwrap(
                frozen.wire, TEMPLATE_COLUMN, issue_row(newsletter, frozen.language)
            )
            wire = MessageTemplate.from_bytes(made)
            return IssueTemplate(self._mailer, newsletter, at, frozen.language, wire)
        except DecryptionError as error:
            return error
        except UnfitIssue:
            self._pause(session, newsletter_id, "it does not pass the gate")
            return IssuePaused()

    def _pause(self, session: Session, newsletter_id: int, why: str) -> None:
        log.warning("Newsletter %d is paused: %s.", newsletter_id, why)
        paused_at = func.coalesce(Newsletter.paused_at, now())
        update_if_free(session, Newsletter, Newsletter.id == newsletter_id, paused_at=paused_at)
        pause.pause(session, newsletter_id)


_OWN = (Subscription.public_id, Subscription.wrapped_address, Subscription.wrapped_name)
_at = bindparam("at", type_=UtcTime())
_is_paused = func.coalesce(Subscription.paused_until > _at, false())


_READING = (
    select(
        Delivery.id,
        Delivery.newsletter_id,
        Subscription.language,
        *_OWN,
        Group.retired_at.is_not(None).label("is_retired"),
        or_(
            Newsletter.stopped_at.is_not(None), Newsletter.paused_at.is_not(None), Group.ended(_at)
        ).label("is_halted"),
        Subscription.is_suppressed,
        and_(Subscription.is_active, not_(_is_paused)).label("is_reader"),
    )
    .join(Newsletter, Newsletter.id == Delivery.newsletter_id)
    .join(Group, Group.id == Newsletter.group_id)
    .outerjoin(Subscription, Subscription.id == Delivery.subscription_id)
    .where(in_ids(Delivery.id, "ids"))
)


_newsletter_id = bindparam("newsletter_id", type_=Newsletter.id.type)
# The columns for members whom the claim has just selected, without further checks.
_OF_A_READER = (_newsletter_id, Subscription.language, *_OWN)
