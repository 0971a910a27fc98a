"""Render an email for its recipient, and wrap its arguments in the delivery."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, final

from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring, Opener
from belong_mail.core.email_templates import Renderer
from belong_mail.core.i18n import known_language
from belong_mail.core.links import Links
from belong_mail.core.services import Settings
from belong_mail.core.tokens import Purpose
from belong_mail.delivery import outbox
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.mail.address import normalise
from belong_mail.mail.message.headers import InvalidMessage, format_mailbox
from belong_mail.mail.message.mime import Copy, GatedMessage, clean_text, compose, date_header

# MS-OXCMAIL 2.1.3.2.20: suppress every kind of automatic response but NDR, the bounces we need.
SUPPRESSED_RESPONSES = "DR, RN, NRN, OOF, AutoReply"


def signed_from(delivery: Delivery, purpose: Purpose) -> datetime:
    """Return the time from which a link in an email is valid.

    This is when the email was queued, so that retries are identical; after half its validity, now.
    """
    half = timedelta(seconds=purpose.max_age or 0) / 2
    return delivery.created_at if now() - delivery.created_at < half else now()


@dataclass(frozen=True, slots=True)
class Email:
    """Recipient, language and template arguments of an email; `reply_to` is an address or empty."""

    to: str
    language: str
    context: Mapping[str, Any] = field(default_factory=dict)
    reply_to: str = ""

    def saying(self, **more: Any) -> "Email":
        """Return the email with further template arguments."""
        return replace(self, context={**self.context, **more})


@dataclass(frozen=True, slots=True)
class Mailer:
    """Everything needed to render an email. Only the worker has one."""

    keys: Keyring
    renderer: Renderer
    links: Links
    names: VerpAddresses
    settings: Settings

    def write(self, delivery: Delivery, email: Email) -> Copy:
        """Render an automatic message to one person."""
        message = _AutomaticMessage(self, delivery, email)
        return Copy(message, self.names.return_path(delivery.id), email.to, {})


@final
class _AutomaticMessage(GatedMessage):
    """A message made of a file of `emails/`.

    Its headers are not searched for a group's words: templates put none in, and an intruder who
    adds a common word to a row could block any email.
    """

    def __init__(self, mailer: Mailer, delivery: Delivery, email: Email) -> None:
        self._kind = delivery.kind
        rendered = mailer.renderer.render(self._kind, email.language, **email.context)
        headers = [
            ("From", mailer.settings.sender),
            ("To", format_mailbox("", email.to)),
            ("Subject", clean_text(rendered.subject)),
            ("Date", date_header(delivery.created_at)),
            ("Message-ID", mailer.names.message_id(delivery.id, normalise(email.to))),
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", SUPPRESSED_RESPONSES),
        ]
        if email.reply_to:
            headers.insert(2, ("Reply-To", format_mailbox("", email.reply_to)))
        boundary = f"belong-{delivery.id}"
        super().__init__(compose(headers, rendered.text, rendered.html, boundary=boundary))

    def require_fit(self) -> None:
        if self._kind == "newsletter":
            raise InvalidMessage("A newsletter has a gate of its own.")


SEALED_TO = "deliveries.sealed_to"
SEALED_ARGUMENTS = "deliveries.sealed_arguments"


class Rows(NamedTuple):
    """The rows by which an email can be found; rendering reads none of them."""

    subscription_id: int | None = None
    account_id: int | None = None
    about_id: int | None = None


NO_ROWS = Rows()


def post_to_address(
    session: Session,
    keyring: Keyring,
    kind: str,
    address: str,
    language: str | None,
    due_at: datetime | None = None,
    rows: Rows = NO_ROWS,
    **said: Any,
) -> None:
    """Queue an email whose recipient, language and arguments are fixed now.

    They are wrapped for this kind of email, so no later change of a row changes or stops it.
    """
    said |= {"to": address, "language": known_language(language)}
    is_alone = rows.subscription_id is None and rows.account_id is None
    outbox.post(
        session,
        kind,
        **rows._asdict(),
        sealed_to=keyring.opener.wrap(address.encode(), SEALED_TO, "") if is_alone else None,
        sealed_arguments=keyring.opener.wrap(json.dumps(said).encode(), _place(kind), ""),
        due_at=due_at,
    )


def read_posted(opener: Opener, delivery: Delivery) -> tuple[str, dict[str, Any]]:
    """Return recipient and arguments that `post_to_address` wrapped, or raise DecryptionError."""
    said = json.loads(opener.unwrap(delivery.sealed_arguments or b"", _place(delivery.kind), ""))
    return said["to"], said


def _place(kind: str) -> str:
    """Return the associated data that binds wrapped arguments to a kind of email."""
    return f"{SEALED_ARGUMENTS}/{kind}"
