"""Send an email to ourselves with a newsletter's headers, fetch it, and say how it arrived.

Its return path and recipient are signed, but belong to no delivery: whatever else reads the mailbox
ignores it.
"""

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from email.utils import parseaddr
from typing import Final, NamedTuple

from belong_mail.core.db import new_public_id, now
from belong_mail.core.services import Services, Settings
from belong_mail.delivery.return_paths import VerpAddresses
from belong_mail.mail.authentication import Verdict, verdict_of
from belong_mail.mail.imap.location import MailboxLocation
from belong_mail.mail.imap.mailbox import (
    Mailbox,
    MailboxUnavailable,
    open_mailbox,
    token_source,
)
from belong_mail.mail.message.mime import compose, date_header
from belong_mail.mail.smtp.connection import Relay
from belong_mail.mail.smtp.replies import Reply
from belong_mail.mail.smtp.session import SmtpSession
from belong_mail.newsletters.issue_mailer import headers_of, leaving_headers
from belong_mail.ops.findings import Finding, failure

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


class Probe(NamedTuple):
    """An email to ourselves, with the mark in its subject."""

    mark: str
    return_path: str
    recipient: str
    message: bytes


def write_probe(services: Services) -> Probe:
    """Compose an email with a newsletter's headers to one of our own return paths."""
    settings = services.settings
    names = VerpAddresses(settings.secret_keys, settings.mail_domain)
    number = _FIRST_NUMBER | secrets.randbits(_NUMBER_BITS) << 1
    mark, recipient = secrets.token_hex(_MARK_OCTETS), names.return_path(number)
    label, leaving = secrets.token_bytes(_LABEL_OCTETS), leaving_headers(settings, services.links)
    headers = headers_of(settings, names, label, f"{SUBJECT}{mark}", leaving)
    words = "Sent by doctor --probe, which reads and deletes it. Nothing needs to be done."
    template = compose(headers, words, f"<p>{words}</p>", boundary=f"probe-{mark}")
    values = {
        "to": recipient,
        "date": date_header(now()),
        "message_id": f"<{secrets.token_hex(_MARK_OCTETS)}@{settings.mail_domain}>",
        "one_click": mark,
        "leave_address": names.leave_address(new_public_id()),
    }
    message = template.fill({name: values[name] for name in template.slots})
    return Probe(mark, names.return_path(number + 1), recipient, message)


def hand_over(relay: Relay, sent: Probe) -> Reply | None:
    """Send a message; return the relay's refusal, if any. Raises RelayUnavailable and OSError."""
    smtp_session = SmtpSession.open(relay)
    line = smtp_session.line
    try:
        smtp_session.start()
        said = smtp_session.words(sent.return_path, sent.recipient, len(sent.message))
        for command in said.decode().splitlines()[:2]:
            verb, _, rest = command.partition(" ")
            line.phase(verb)
            code, text = line.docmd(verb, rest)
            if not 200 <= code < 300:  # noqa: PLR2004 - the codes of success (RFC 5321, 4.2.1)
                return Reply(code, text.decode("utf-8", "replace"), verb)
        line.phase("DATA")
        code, answer = line.data(sent.message)
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


# Headers that a DKIM signature must cover (RFC 6376, 5.4.1; RFC 8058, 4; rules of Gmail and Yahoo).
COVERED: Final = (
    "From", "To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe",
    "List-Unsubscribe-Post",
)  # fmt: skip
NO_VERDICT: Final = (
    "The server that received it says nothing of DKIM and DMARC, so nothing proves that inboxes"
    " accept the signature. (Only the topmost Authentication-Results counts, and only with that"
    " server’s name: others can be written by anyone on the way.) Send a newsletter to an inbox at"
    " Gmail or Outlook, save it with all its headers, and run `doctor --probe-file FILE`."
)
ADVICE: Final = {
    "dkim": (
        "Is the key in DNS at {places} the one that the relay signs with? If it is, something after"
        " the signer changes the email, such as a footer."
    ),
    "spf": "Let the SPF record of the return path’s domain name the relay.",
    "dmarc": "It passes when the signature, or SPF, passes for the domain of From.",
}


def judge(settings: Settings, raw: bytes) -> Iterator[Finding]:
    """Report the receiving server's verdict, the DKIM signature and the return path."""
    arrived = BytesParser().parsebytes(raw)
    names = VerpAddresses(settings.secret_keys, settings.mail_domain)
    verdict = verdict_of(arrived)
    if verdict is None or not (verdict.of("dkim") or verdict.of("dmarc")):
        yield failure(NO_VERDICT)
    yield from _judge_signatures(arrived, verdict, settings.mail_domain.lower())
    yield from _judge_return_path(arrived, names)
    if verdict is not None:
        yield from _of_receiver(verdict, "spf")
        yield from _of_receiver(verdict, "dmarc")


def _judge_signatures(arrived: Message, verdict: Verdict | None, domain: str) -> Iterator[Finding]:
    author = _address(arrived, "From").rpartition("@")[2]
    signatures = [_tags(str(each)) for each in arrived.get_all("DKIM-Signature", [])]
    if not signatures:
        yield failure(
            "DKIM: it arrived unsigned. Inboxes treat unsigned newsletters as spam or refuse them."
            f" Let the relay sign for {domain}."
        )
        return
    if verdict is not None:
        places = (f"{each.get('s')}._domainkey.{each.get('d')}" for each in signatures)
        yield from _of_receiver(verdict, "dkim", ", ".join(places))
    signers = sorted({each.get("d", "").lower() for each in signatures})
    verified = signers if verdict is None else verdict.signers or signers
    related = [each for each in verified if _is_related(each, author)]
    if not related:
        yield failure(
            f"DKIM: signed for {', '.join(verified)}, which does not align with From"
            f" ({author}). For DMARC that counts as unsigned. Let the relay sign for {domain}."
        )
        return
    yield Finding(f"DKIM: signed for {', '.join(related)}, which aligns with From.")
    ours = [each for each in signatures if each.get("d", "").lower() in related] or signatures
    yield from _judge_best(min(ours, key=lambda each: len(_left_out(each))))


def _judge_best(signature: dict[str, str]) -> Iterator[Finding]:
    if missing := _left_out(signature):
        button = any(name.startswith("List-Unsubscribe") for name in missing)
        yield failure(
            f"DKIM: the signature leaves out {', '.join(missing)}."
            + (" Without it inboxes show no unsubscribe button (RFC 8058)." if button else "")
            + " Add what is missing to the header fields that the relay signs."
        )
    else:
        yield Finding(f"DKIM: the signature covers {', '.join(COVERED)}.")
    if "l" in signature:
        yield failure("DKIM: the signature has l=, so anyone can add text below. Turn it off.")


def _judge_return_path(arrived: Message, names: VerpAddresses) -> Iterator[Finding]:
    if "Return-Path" not in arrived:
        yield Finding("The receiver keeps no Return-Path, so it was not checked.")
        return
    found = _address(arrived, "Return-Path")
    is_kept = names.read(found) is not None
    if is_kept:
        yield Finding("The return path came back unchanged.")
        return
    where = found.rpartition("@")[2] or "nowhere"
    yield failure(
        f"The relay rewrote the return path; reports now go to {where}. Bounces count only if the"
        " relay sends its own report to our return path, or if a report reaches us and quotes our"
        " Message-ID. docs/operators/relays.md says how to keep it."
    )


def _of_receiver(verdict: Verdict, method: str, places: str = "") -> Iterator[Finding]:
    result = verdict.of(method)
    words = f"{method.upper()}: {verdict.server or 'the receiver'} says {result or 'nothing'}."
    if result in ("pass", ""):
        yield Finding(words)
    else:
        yield failure(f"{words} {ADVICE[method].format(places=places)}")


def _is_related(one: str, other: str) -> bool:
    """Return whether two domains are equal, or one is a parent of the other."""
    return f".{one}".endswith(f".{other}") or f".{other}".endswith(f".{one}")


def _tags(signature: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in re.sub(r"\s+", "", signature).split(";"))
    return {name: value for name, _, value in pairs if name}


def _left_out(signature: dict[str, str]) -> list[str]:
    """Return the required headers that a signature does not cover."""
    covered = signature.get("h", "").lower().split(":")
    return [name for name in COVERED if name.lower() not in covered]


def _address(parsed: Message, name: str) -> str:
    return parseaddr(str(parsed.get(name, "")))[1].lower()
