"""Send an email to ourselves with a newsletter's headers, and fetch it, for `doctor --probe`.

Its return path and recipient are signed, but belong to no delivery: whatever else reads the mailbox
ignores it.
"""

import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import Final

from belong_mail.core.db import new_public_id, now
from belong_mail.core.services import Services
from belong_mail.delivery.mailer import SUPPRESSED_RESPONSES
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.mail.imap.location import MailboxLocation
from belong_mail.mail.imap.mailbox import (
    Mailbox,
    MailboxUnavailable,
    open_mailbox,
    token_source,
)
from belong_mail.mail.message.headers import format_mailbox
from belong_mail.mail.message.mime import Envelope, compose, date_header
from belong_mail.mail.smtp.connection import Relay
from belong_mail.mail.smtp.replies import Reply
from belong_mail.mail.smtp.session import SmtpSession

# Larger than any delivery id.
_FIRST_NUMBER: Final = 1 << 47
_NUMBER_BITS: Final = 46
# Bytes of a List-Id's label, as from `BlindIndex.list_label`.
_LABEL_OCTETS: Final = 10
_MARK_OCTETS: Final = 16
SUBJECT: Final = "Belong Mail probe "
# Seconds between polls of the mailbox, and by how much the last one may exceed the time.
LOOK_GAP_SECONDS: Final = 1.0
MAILBOX_SECONDS: Final = 30.0
# Copies fetched, in case the relay duplicates the message.
_MAX_COPIES: Final = 5
ONE_CLICK: Final = "List-Unsubscribe=One-Click"


@dataclass(frozen=True, slots=True)
class Probe:
    """An email to ourselves, and the mark in its subject."""

    mark: str
    envelope: Envelope


def write_probe(services: Services) -> Probe:
    """Compose an email with a newsletter's headers to one of our own return paths."""
    settings = services.settings
    names = VerpAddresses(settings.secret_keys, settings.mail_domain)
    number = _FIRST_NUMBER | secrets.randbits(_NUMBER_BITS) << 1
    mark, recipient = secrets.token_hex(_MARK_OCTETS), names.return_path(number)
    leave = names.leave_address(new_public_id())
    one_click = mark.join(services.links.frame("subscriptions.one_click"))
    headers = [
        ("From", format_mailbox(settings.mail_from, f"belong@{settings.mail_domain}")),
        ("To", recipient),
        ("Reply-To", format_mailbox("", settings.contact_inbox)),
        ("Subject", f"{SUBJECT}{mark}"),
        ("Date", date_header(now())),
        ("Message-ID", f"<{secrets.token_hex(_MARK_OCTETS)}@{settings.mail_domain}>"),
        ("List-Id", f"<{names.list_id(secrets.token_bytes(_LABEL_OCTETS))}>"),
        ("List-Unsubscribe", f"<{one_click}>, <mailto:{leave}?subject=unsubscribe>"),
        ("List-Unsubscribe-Post", ONE_CLICK),
        ("List-Owner", f"<mailto:{settings.contact_inbox}>"),
        ("List-Post", "NO"),
        ("Precedence", "list"),
        ("X-Auto-Response-Suppress", SUPPRESSED_RESPONSES),
    ]
    words = "Sent by doctor --probe, which reads and deletes it. Nothing needs to be done."
    template = compose(headers, words, f"<p>{words}</p>", boundary=f"probe-{mark}")
    return Probe(mark, Envelope(names.return_path(number + 1), recipient, template.fill({})))


def hand_over(relay: Relay, envelope: Envelope) -> Reply | None:
    """Send a message; return the relay's refusal, if any. Raises RelayUnavailable and OSError."""
    smtp_session = SmtpSession.open(relay)
    line = smtp_session.line
    try:
        smtp_session.start()
        for command in smtp_session.words(envelope).decode().splitlines()[:2]:
            verb, _, said = command.partition(" ")
            line.phase(verb)
            code, text = line.docmd(verb, said)
            if not 200 <= code < 300:  # noqa: PLR2004 - the codes of success (RFC 5321, 4.2.1)
                return Reply(code, text.decode("utf-8", "replace"), verb)
        line.phase("DATA")
        code, answer = line.data(envelope.message)
        words = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
        return None if code == 250 else Reply(code, words, "DOT")  # noqa: PLR2004
    finally:
        smtp_session.close()


def fetch(location: MailboxLocation, mark: str, seconds: float) -> bytes | None:
    """Wait for the probe in the mailbox, delete and return it; None if it did not arrive.

    The read folder is searched, too, as a worker may have archived it. Raises MailboxUnavailable.
    """
    until = time.monotonic() + seconds
    deadline = until + MAILBOX_SECONDS
    with open_mailbox(location, token_source(location), deadline) as mailbox:
        while True:
            mailbox.select()
            found = _take(mailbox, mark)
            with suppress(MailboxUnavailable):  # The read folder may not exist yet.
                mailbox.select(location.read_folder)
                found = found or _take(mailbox, mark)
            if found is not None or time.monotonic() >= until:
                return found
            time.sleep(LOOK_GAP_SECONDS)


def _take(mailbox: Mailbox, mark: str) -> bytes | None:
    """Delete messages with exactly the probe's subject, and return the first.

    A bounce of the probe only quotes that subject.
    """
    found = None
    for uid in mailbox.uids(_MAX_COPIES, f' SUBJECT "{mark}"'):
        for message in mailbox.fetch(uid):
            if BytesHeaderParser().parsebytes(message)["Subject"] == f"{SUBJECT}{mark}":
                found = found or message
                mailbox.remove([uid])
    return found
