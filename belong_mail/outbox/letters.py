"""Letters: what a feature wants said to whom, and how it becomes an envelope."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from belong_mail.links import Links
from belong_mail.mail.message import Envelope, clean, compose, date_header, mailbox
from belong_mail.opening import BlindIndex, Opener
from belong_mail.outbox.rendering import Renderer
from belong_mail.sending.models import Delivery
from belong_mail.sending.names import Names

NO_ANSWERS = "DR, RN, NRN, OOF, AutoReply"
"""MS-OXCMAIL 2.1.3.2.20: everything but NDR, the bounces we need."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A rendered mail to one person; `reply_to` is an address or empty."""

    to: str
    language: str
    context: Mapping[str, object] = field(default_factory=dict)
    reply_to: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """What it takes to write a letter; the worker alone has one."""

    opener: Opener
    index: BlindIndex
    renderer: Renderer
    links: Links
    names: Names
    sender: str
    """From: the name and address that all our mail comes from."""
    office: str
    """The address of the office's inbox."""
    zone: ZoneInfo
    """In which meetings are held."""

    def envelope(self, delivery: Delivery, letter: Letter) -> Envelope:
        """Write a single message: automatic, quiet about the group in every header."""
        rendered = self.renderer.render(delivery.kind, letter.language, **letter.context)
        headers = [
            ("From", self.sender),
            ("To", mailbox("", letter.to)),
            ("Subject", clean(rendered.subject)),
            ("Date", date_header(delivery.created_at)),
            ("Message-ID", self.names.message_id(delivery.id)),
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", NO_ANSWERS),
        ]
        if letter.reply_to:
            headers.insert(2, ("Reply-To", mailbox("", letter.reply_to)))
        boundary = f"belong-{delivery.id}"
        wire = compose(headers, rendered.text, rendered.html, boundary=boundary)
        return Envelope(self.names.return_path(delivery.id), letter.to, wire.fill({}))
