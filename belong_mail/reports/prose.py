"""Bounces in words: four servers in ten say it without the fields of RFC 3464."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from belong_mail.reports.mime import Fields, Message, addresses_in, fields_of

_DAEMON = (
    r"mail(?:er)?.?da?emon|post.?master|\bmdaemon|mail.?delivery.?(?:sub|system|service|notif)"
    r"|(?:mail|system) administrator|microsoftexchange|<@?>"
)
_PASSED_ON = r"(?:re|aw|sv|fwd?|wg|tr|rv)\s?:"
_FAILED = (
    r"undeliver|return(?:ed|ing) (?:mail|to sender|message)|failure notice|could not be|rejected"
    r"|non.?(?:delivery|deliverable|remis)|(?:mail|message|delivery|e-?mail).{0,30}(?:fail|error"
    r"|problem|not (?:be )?delivered|unable|could ?n.t)|(?:fail|unable).{0,20}(?:deliver|mail)"
    r"|unzustell|(?:zustell|übermittl).{0,20}(?:fehl|nicht)|nicht zu(?:gestellt|stellbar)"
    r"|no (?:se )?(?:pudo |ha podido )?(?:ser )?entreg|(?:error|fall[oi]).{0,30}(?:entrega"
    r"|env[ií]o)|devuelto|non remis|[ée]chec|mancat[ao] (?:consegna|recapito)"
    r"|n[ãa]o (?:foi )?entreg|退信|不達"
)
_SAYS_FAILED = (
    r"(?:not|n.t|unable to|failed to)(?: be)? (?:\w+ ){0,3}(?:deliver|reach|sen[dt]|accept"
    r"|create)|undeliver|permanent(?:ly)? (?:fatal )?(?:error|fail)|delivery .{0,30}fail"
    r"|fatal error|return(?:ed|ing) (?:it )?(?:to (?:the |its )?sender|mail|message)|giv(?:en"
    r"|ing) up|(?:message|mail|recipient|address|domain).{0,60}(?:rejected|bounced|refused|failed"
    r"|unknown)|(?:unknown|no such|invalid|valid) user|user unknown|delivery problem|userid"
    r"|failed recipient|(?:mail|message) (?:has been|was|is) returned|no (?:se )?(?:pudo"
    r"|ha podido|puede)|n.a pas pu|konnte.{0,80}nicht|nicht zugestellt"
)
_DELAYED = (
    r"warning.{0,60}(?:delay|not (?:yet )?(?:been )?(?:sent|deliver)|could not)"
    r"|delay(?:ed)? (?:notif|deliver)|warning message only|(?:delivery|message"
    r"|mail)[^.]{0,60}(?:delayed|postponed|warning)|still (?:trying|being|undelivered"
    r"|in the (?:mail )?queue)|(?:keep|continue)d? (?:to )?try|attempts? will continue"
    r"|will (?:retry|be retried|try again|continue)|\(delay\)|transient non"
    r"|not (?:yet )?been delivered (?:after|for)|verz[öo]ger|retras|retard"
    r"|not need to (?:do anything|resend|take)"
)
_FINAL = (
    r"failed because|giv(?:en|ing) up|gave up|permanent|no longer (?:try|be tried)|fatal errors"
)
_DELIVERED = (
    r"\(success\)|success(?:fully)? (?:deliver|relay|mail)|delivery (?:report|success)"
    r"|was delivered|return receipt|been (?:successfully )?delivered"
)
_FORM = (
    r"(?:following|these) (?:e-?mail )?(?:recipient|user|address|person|destinat"
    r"|mailbox)[^@]{0,200}@|^\s*<[^<>\s]+@[^<>\s]+>:|rcpt to: ?<"
    r"|created automatically by mail delivery software"
)
"""What servers write and persons do not."""

_ORIGINAL = (
    r"^[ >|]*(?:-{2,}|={2,}|_{2,}|\*{2,})[ >]*(?:(?:this is|below|begin|start"
    r"|here is)[^\n]{0,60})?(?:(?:your |the )?(?:original|returned|unsent|undelivered|copy"
    r"|forwarded|enclosed|attachment|headers?)\b|message (?:header|text|follow|body|content)"
    r"|(?:a )?copy of)[^\n]{0,200}$|^[ >]*(?:\w{1,20} ){0,9}(?:message|mail) ?(?:headers?|text"
    r"|body)? ?(?:follows?|is (?:included|attached|below)|reads|begins)\b[^\n]{0,80}$|^[ >"
    r"|]*(?:received|return-path|dkim-signature): [^\n]{1,300}\n[ >|\t]*\S"
)
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
_HEARD = r"^<<< [45]\d\d"
_GUESSED = r"^[45]\d\d [45]\.\d\.\d .*\.\.\. .*$"
"""Sendmail heard a server's answer, and below it says what it takes that for."""
_DAEMON_WROTE, _ENOUGH = 2, 3
_ADVICE = r"\b(?:may|might|maybe|please|perhaps|possibl[ey]|if|either|check|sure|why|usually)\b"


@dataclass(frozen=True, slots=True)
class Account:
    """What a server tells in words, and what stands below: the message that came back."""

    told: str
    returned: Fields

    def replies(self) -> str:
        """Return the lines in which a server's answer stands, final ones first, or ""."""
        blocks = [block for block in self.told.split("\n\n") if re.search(_REPLY, block)]
        lines = [line for block in blocks for line in _lines_from_reply(block)]
        lines.sort(key=lambda line: re.search(_FINAL_REPLY, line) is None)
        return "\n".join(lines[:6])

    def statements(self) -> str:
        """Return the sentences that say something, without those that only advise."""
        sentences = re.split(r"(?<=[.!?])\s|\n\s*\n", self.told[:8_000])
        return "\n".join(s for s in sentences if not re.search(_ADVICE, s, re.IGNORECASE))

    def recipients(self) -> Iterator[str]:
        """Yield the addresses that lines begin with, else those beside an answer, else all."""
        flags = re.IGNORECASE | re.MULTILINE
        found = [*re.findall(_RCPT, self.told, flags), *re.findall(_ABOUT, self.told + "\n", flags)]
        for text in ("\n".join(found), self.replies(), self.told[:4_000]):
            if named := list(addresses_in(text)):
                yield from named
                return

    def _holds(self, pattern: str) -> bool:
        return re.search(pattern, self.told[:4_000], re.IGNORECASE | re.MULTILINE) is not None

    def outcome(self, message: Message) -> str:
        """Return "failed", "delayed" or "delivered", as the words say, or "": no server wrote."""
        subject = message.first("subject").strip()
        trust = _trust(message)
        is_passed_on = _matches(rf"\A{_PASSED_ON}", subject)
        if trust < _DAEMON_WROTE and is_passed_on:
            return ""
        is_named = _matches(_FAILED, subject) or _matches(_DELAYED, subject)
        if trust and not is_named and _matches(_DELIVERED, subject):
            return "delivered"
        hints = is_named + self._holds(_SAYS_FAILED) + self._is_formal(trust)
        if "x-failed-recipients" not in message.fields and hints + trust < _ENOUGH + is_passed_on:
            return ""
        is_late = self._holds(_DELAYED) and not self._holds(_FINAL)
        is_late = is_late and not _matches(_FINAL_REPLY, self.told)
        return "delayed" if _matches(_DELAYED, subject) or is_late else "failed"

    def _is_formal(self, trust: int) -> bool:
        return self._holds(_FORM) or (trust > 0 and self.replies() != "")


def account_of(message: Message) -> Account:
    """Divide what was written from what came back with it."""
    written = message.written()
    returned = message.text_of("message/rfc822", "text/rfc822-headers", "message/global")
    cut = re.search(_ORIGINAL, written, re.IGNORECASE | re.MULTILINE)
    if cut and returned is None:
        returned = re.sub(r"^[ >|]+(?=\S)", "", written[cut.start() :], flags=re.MULTILINE)
    head = re.search(_HEAD, returned or "", re.IGNORECASE | re.MULTILINE | re.DOTALL)
    told = written[: cut.start()] if cut else written
    if re.search(_HEARD, told, re.MULTILINE):
        told = re.sub(_GUESSED, "", told, flags=re.MULTILINE)
    return Account(told, fields_of(head[0] if head else ""))


def is_from_server(message: Message) -> bool:
    return _trust(message) == _DAEMON_WROTE


def _trust(message: Message) -> int:
    sender = message.first("from").strip()
    content = message.first("content-type").replace(" ", "").lower()
    if _matches(_DAEMON, sender) or "report-type=delivery-status" in content:
        return _DAEMON_WROTE
    if message.is_of_a_list:
        return -1
    return int(message.has_null_path)


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


def _lines_from_reply(block: str) -> Iterator[str]:
    """Yield each answer of a paragraph on one line, with the lines that it was folded over."""
    lines = block.split("\n")
    starts = [number for number, line in enumerate(lines) if re.search(_REPLY, line)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield " ".join(line.strip() for line in lines[start : min(end, start + 4)])
