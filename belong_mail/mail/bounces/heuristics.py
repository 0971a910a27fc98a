"""Recognize bounces without RFC 3464 fields, automatic replies and unsubscribes by their words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Final

from belong_mail.mail.bounces.mime import Fields, Message, addresses_in, fields_of
from belong_mail.mail.phrases import is_said, message_phrase

_HEAD = (
    r"^(?:received|return-path|dkim-signature|from|to|date|subject|message-id|delivered-to|sender"
    r"|reply-to|mime-version|content-type|x-[\w-]{1,60}|list-[\w-]{1,60}):[ \t\n].*?(?:\n\n|\Z)"
)
_ABOUT = (
    r"^[ \t>]*(?:<|'|\"|(?:to|recipient|user|address|e-?mail|rcpt to|für|para|à)[: \t]{1,12}<?)?"
    r"(?:smtp:|mailto:|rfc822;\s?)?([^\s<>\"',;:()]{1,64}@[\w.-]{1,255})[>'\",:;()\s]"
)
_RCPT = r"rcpt to: ?<?([^\s<>]{1,64}@[\w.-]{1,255})"
_REPLY = r"(?<![\d.])[45][0-5]\d[ \-:\]]|(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?!\.?\d)"
_FINAL_REPLY = r"(?<![\d.])5[0-5]\d[ \-:\]]|(?<![\d.])5\.\d{1,3}\.\d{1,3}(?!\.?\d)"
_TRANSCRIPT_REPLY = r"^<<< [45]\d\d"
# Sendmail's interpretation of a server's reply, below the reply itself.
_SENDMAIL_SUMMARY = r"^[45]\d\d [45]\.\d\.\d .*\.\.\. .*$"
_DAEMON_WROTE, _ENOUGH = 2, 3
# JSON: written by a program, so not by a mail server.
_DATA = r"\s*[\[{]\s*[\"{]"


@dataclass(frozen=True)
class BounceText:
    """The text of a bounce, and the header fields of the returned message."""

    report_text: str
    returned: Fields

    @cached_property
    def replies(self) -> str:
        """The lines that quote SMTP replies, permanent ones first; "" if there are none."""
        blocks = [block for block in self.report_text.split("\n\n") if re.search(_REPLY, block)]
        lines = [line for block in blocks for line in _lines_from_reply(block)]
        lines.sort(key=lambda line: re.search(_FINAL_REPLY, line) is None)
        return "\n".join(lines[:6])

    @cached_property
    def statements(self) -> str:
        """The sentences of the text, without advice to the reader."""
        told = message_phrase("advice_in_brackets").sub(" ", self.report_text[:8_000])
        sentences = re.split(r"(?<=[.!?])\s|\n\s*\n", told)
        return "\n".join(each for each in sentences if not is_said("advice", each))

    def recipients(self) -> Iterator[str]:
        """Yield the addresses at line starts; if none, those in quoted replies; if none, all."""
        flags = re.IGNORECASE | re.MULTILINE
        found = [
            *re.findall(_RCPT, self.report_text, flags),
            *re.findall(_ABOUT, self.report_text + "\n", flags),
        ]
        for text in ("\n".join(found), self.replies, self.report_text[:4_000]):
            if named := list(addresses_in(text)):
                yield from named
                return

    def _says(self, name: str) -> bool:
        return is_said(name, self.report_text[:4_000])

    def outcome(self, message: Message) -> str:
        """Return "failed", "delayed" or "delivered", or "" if this is probably not a bounce."""
        subject = message.first("subject").strip()
        trust = _trust(message)
        if re.match(_DATA, message.written()):
            return ""
        is_passed_on = message_phrase("passed_on").match(subject) is not None
        if trust < _DAEMON_WROTE and (is_passed_on or is_said("quoted_head", message.written())):
            return ""
        is_named = is_said("failed_in_subject", subject) or is_said("delayed", subject)
        if trust and not is_named and is_said("delivered_in_subject", subject):
            return "delivered"
        if trust and not is_named and self._says("delivered") and not self._says("failed"):
            return "delivered"
        is_formal = self._says("servers_form") or (trust > 0 and self.replies != "")
        hints = is_named + self._says("failed") + is_formal
        if "x-failed-recipients" not in message.fields and hints + trust < _ENOUGH + is_passed_on:
            return ""
        is_late = self._says("delayed") and not self._says("gave_up")
        is_late = is_late and not re.search(_FINAL_REPLY, self.report_text)
        return "delayed" if is_said("delayed", subject) or is_late else "failed"


def bounce_text_of(message: Message) -> BounceText:
    """Split a message into the bounce's text and the returned message."""
    written = message.written()
    returned = message.text_of("message/rfc822", "text/rfc822-headers", "message/global")
    cut = message_phrase("original_below").search(written)
    if cut and returned is None:
        returned = re.sub(r"^[ >|]+(?=\S)", "", written[cut.start() :], flags=re.MULTILINE)
    head = re.search(_HEAD, returned or "", re.IGNORECASE | re.MULTILINE | re.DOTALL)
    report_text = written[: cut.start()] if cut else written
    if re.search(_TRANSCRIPT_REPLY, report_text, re.MULTILINE):
        report_text = re.sub(_SENDMAIL_SUMMARY, "", report_text, flags=re.MULTILINE)
    return BounceText(report_text, fields_of(head[0] if head else ""))


def is_from_server(message: Message) -> bool:
    return _trust(message) == _DAEMON_WROTE


def _trust(message: Message) -> int:
    """Return how sure it is that a server wrote a message, from -1 to _DAEMON_WROTE."""
    sender = message.first("from").strip()
    content = message.first("content-type").replace(" ", "").lower()
    if is_said("from_server", sender) or "report-type=delivery-status" in content:
        return _DAEMON_WROTE
    if message.is_of_a_list:
        return -1
    return int(message.has_null_path)


def _lines_from_reply(block: str) -> Iterator[str]:
    """Yield each quoted reply of a paragraph as one line."""
    lines = block.split("\n")
    starts = [number for number, line in enumerate(lines) if re.search(_REPLY, line)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield " ".join(line.strip() for line in lines[start : min(end, start + 4)])


RECEIPT: Final = "message/disposition-notification"
_AUTOMATIC_FIELDS: Final = frozenset({
    "x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply", "x-autoreply-from",
    "x-autoreply-domain", "x-auto-response", "x-mail-autoreply", "x-autogenerated", "x-vacation",
    "x-ms-exchange-inbox-rules-loop", "x-autoresponse",
})  # fmt: skip
_SUPPRESSING_FIELDS: Final = frozenset({"x-auto-response-suppress", "x-precedence", "precedence"})
# Lotus Notes marks an automatic reply in its subject only.
_LOTUS_NOTES_SUBJECT = r"auto:\s"


def waits_for_confirmation(message: Message, report_text: str) -> bool:
    """Return whether our message waits for a moderator, or asks its sender to confirm."""
    if is_from_server(message):
        return False
    words = " ".join(f"{message.first('subject')} {report_text[:3_000]}".split())
    is_list_owners = is_said("from_list", message.first("from"))
    if message.is_of_a_list and not is_list_owners:
        return False
    return is_said("held", words) and is_said("asks_for_approval", words)


def is_refused_by_list(message: Message, report_text: str) -> bool:
    """Return whether a mailing list refuses our message."""
    words = " ".join(f"{message.first('subject')} {report_text[:3_000]}".split())
    return is_said("from_list", message.first("from")) and is_said("refused_by_list", words)


def is_out_of_office(message: Message) -> bool:
    """Return whether the subject is an absence notice, whose text is then not read as a bounce."""
    subject = message.first("subject").strip()
    if re.match(_LOTUS_NOTES_SUBJECT, subject, re.IGNORECASE):
        return is_said("away_in_words", f"{subject}\n{message.written()[:2_000]}")
    return message_phrase("away").match(subject) is not None and bool(
        message.fields.keys() & _SUPPRESSING_FIELDS
        or message.first("auto-submitted")
        or message.has_null_path
        or message_phrase("away_alone").match(subject)
    )


def answers_for_a_person(message: Message) -> bool:
    """Return whether a program answers that may quote a bounce, but reports none."""
    is_bounce = (
        is_from_server(message)
        or "x-failed-recipients" in message.fields
        or is_said("failed_in_subject", message.first("subject"))
    )
    return is_automatic_reply(message) and not is_bounce


def is_automatic_reply(message: Message) -> bool:
    """Return whether a program answers for a person, or confirms that our email was displayed."""
    submitted = message.first("auto-submitted").lower().partition(";")[0].strip()
    precedence = message.first("precedence").lower().replace("-", "_").strip()
    return not message.is_of_a_list and bool(
        submitted not in {"", "no"}
        or message_phrase("automatic").match(message.written().lstrip())
        or message.fields.keys() & _AUTOMATIC_FIELDS
        or precedence == "auto_reply"
        or message.text_of(RECEIPT) is not None
        or (message.has_null_path and is_said("away_in_words", message.written()[:2_000]))
    )


def is_sent_by_machine(message: Message) -> bool:
    """Return whether a program sent a message; Apple's unsubscribe button counts as a person."""
    if message.has_null_path or is_from_server(message) or message.is_of_a_list:
        return True
    is_bulk = message.first("precedence").lower().strip() in {"bulk", "junk", "list"}
    return not _is_apples_button(message) and (is_bulk or is_automatic_reply(message))


def _is_apples_button(message: Message) -> bool:
    return message.first("x-apple-unsubscribe").strip().lower() == "true"


def asks_to_unsubscribe(message: Message, report_text: str) -> bool:
    """Return whether an email asks to unsubscribe, by Apple's header or by words alone."""
    if _is_apples_button(message):
        return True
    lines = [line for line in report_text.split("\n") if line.strip() and not line.startswith(">")]
    own = takewhile(lambda line: not message_phrase("end_of_own_words").match(line), lines)
    return _asks_to_leave(message.first("subject")) or _asks_to_leave(" ".join(own))


def _asks_to_leave(text: str) -> bool:
    words = " ".join(re.findall(r"[\w-]+", text[:200].lower()))
    return message_phrase("wish_to_leave").fullmatch(words) is not None
