"""Find out why a message bounced, from codes and words, by the rules of `mail.smtp.replies`."""

import re
from dataclasses import dataclass
from typing import Final

from belong_mail.mail.bounces.mime import WIDE
from belong_mail.mail.phrases import idioms, is_said, known_phrase, phrases_in_reply, reply_phrases
from belong_mail.mail.smtp.replies import Reply, ReplyClass, classify_reply

MAX_REASON_CHARACTERS: Final = 2_000
_AN_ADDRESS = rf"[^\s{WIDE}]+@(?:[^\W{WIDE}]|[.-])+"
_ENHANCED = r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)"
_CODE = (
    r"(?:^|[:;<>(\[#]\s{0,3}|(?:said|error|code|reply|response|with|status|returned"
    r"|server)[: ]{1,3})([45][0-5]\d)(?=[ \-)\]:.,;]|$)"
    r"|(?<![\d.])([45][0-5]\d)[ \-]{1,2}[(#]{0,2}[45]\.\d{1,3}\.\d"
)
_VERB = r"(?:in reply to|after)(?: end of| pipelined)? (MAIL|RCPT|DATA|data|HELO|EHLO|AUTH)\b"
_TEMPORARY_PHRASES = frozenset({"greylisted", "session limit", "sending rate", "slow down"})
# Phrases for replies that blame the sender; they replace the text's own phrase.
_SENDER_PHRASES: Final = {ReplyClass.SENDER: "sender refused", ReplyClass.QUOTA: "relay limit"}
# Phrases that count although the status says bad address (X.1.X) or expired.
_PHRASES_OVER_STATUS = frozenset({
    "mailbox full", "message too large", "content refused", "account disabled"
})  # fmt: skip
# Sendmail adds these to every bare 550, 551 or 553, so the words count instead.
_SENDMAIL_STATUSES: Final = frozenset({"5.1.1", "5.1.3", "5.1.6"})
_UNKNOWN: Final = "no such user"
_UNVERIFIED: Final = "verification timed out"
# The server is closing the connection (RFC 5321, 3.8): that says nothing about an address.
_CLOSING: Final = 421
_URL = r"https?://\S+"
_ASIDE = (
    r"\([^()]{0,200}\)|\[[^\[\]]{0,200}\]"
    rf"|\b([45]\d\d[ -])?(?i:for|more) (an? )?(explanation|information|details),? (please )?"
    rf"\w{{1,20}}( \w+)? {_URL}"
)
# Statuses that mean only “refused” when the text says that the user is unknown.
_VAGUE_STATUS = r"5\.7\.[01]|4\.1\.1"
# Words between a server's own text and the reply that it quotes.
_BEFORE_QUOTED_REPLY = (
    r"(?: - [A-Za-z][\w ()]{3,60} |-> ?|last (?:answer|error|reply|response):? )(?=[45][0-5]\d\b)"
)
# The host's name, which may contain a phrase such as “spam”.
_SERVER = r"\bhost [\w.-]+\[[0-9a-f.:]+\] (?=said:)"
# Several hosts were tried: one deferred, a later one gave the final reply.
_FINAL_AFTER = r"^\D{0,80}4[0-5]\d\b.{0,300}\bsaid:? (?=5[0-5]\d\b)"
_DEFERRAL = r"(?<=[\s:>('\"\[,-])(?:421\b|4[0-5]\d[ -]#?4\.\d{1,3}\.\d{1,3})"


@dataclass(frozen=True, slots=True)
class BounceReason:
    """The reason of a bounce; `status` "" and `verdict` None mean that it is unknown."""

    status: str
    code: int | None
    verdict: ReplyClass | None
    phrase: str

    @property
    def permanence(self) -> str | None:
        """Return the permanence by the first digit of the status (RFC 3463)."""
        return {"5": "permanent", "4": "temporary"}.get(self.status[:1])

    @property
    def is_telling(self) -> bool:
        """Return whether it says more than that delivery failed."""
        return bool(self.phrase) or _vagueness(self.status) == 0


def classify_bounce(words: str, status: str, beside: str = "") -> BounceReason:
    """Return the reason, by a server's text and the status in a report.

    The more specific of two codes counts; of equal ones, the report's class with the server's
    detail. `beside` may name the refused verb: a refusal of MAIL is not the address's fault. As
    the relay accepted the message, a permanent system error (HOST) is of the recipient's server.
    """
    lines = [re.sub(_AN_ADDRESS, "<>", line) for line in words[:MAX_REASON_CHARACTERS].split("\n")]
    if inner := _inner_answer(lines, status):
        reason = _classified([inner], "", beside)
        if reason.is_telling or reason.permanence == "temporary":
            return reason
        lines = [inner]
    return _classified(lines, status, beside)


def _inner_answer(lines: list[str], status: str) -> str:
    """Return another server's reply that the text quotes, or ""."""
    words = " ".join(" ".join(lines).split())
    if wrapped := re.search(_BEFORE_QUOTED_REPLY, words):
        return re.sub(r"^(\d{3})[- ]?['\"]", r"\1 ", words[wrapped.end() :])
    if later := re.search(_FINAL_AFTER, words):
        return words[later.end() :]
    if put_off := re.search(_DEFERRAL, words):
        before = words[: put_off.start()]
        told = _more_specific(status if status[:1] in "45" else "", _codes([before])[1])
        is_open = known_phrase(before) in {"", *_TEMPORARY_PHRASES}
        if before.strip() and is_open and (_vagueness(told) or told[2:3] == "4"):
            return words[put_off.start() :]
    return ""


def _classified(lines: list[str], status: str, beside: str) -> BounceReason:
    words = re.sub(_SERVER, "", " ".join(" ".join(lines).split()))
    code, found = _codes(lines)
    status = _more_specific(status if status[:1] in "45" else "", found)
    if code == _CLOSING and found[:1] != "5":
        status = found
    verb = _verb(words, beside)
    phrases = frozenset(phrases_in_reply(words))
    if verb == "RCPT" and _is_idiom(words, phrases, status, code):
        words = f"{words} ({_UNKNOWN})"
    told = re.sub(_URL, " ", words)
    if verb == "RCPT" and status == "5.1.1" and frozenset(phrases_in_reply(told)) == {_UNKNOWN}:
        words = told
    phrase = known_phrase(words)
    is_guessed = code and status in _SENDMAIL_STATUSES and status != found
    if sure := _sure_status(code, phrases, words):
        status = sure
    elif is_guessed or (phrase in _PHRASES_OVER_STATUS and status[1:3] == ".1"):
        status = ""
    elif verb == "RCPT" and phrases == {_UNKNOWN} and re.fullmatch(_VAGUE_STATUS, status):
        status = "5.1.1"
    if _vagueness(status) > 1:
        status = _passing_status(code, phrase, words) or status
    if not (status or code or phrase):
        return BounceReason("", None, None, "")
    first = status[:1] or str(code or 5)[0]
    kept = code if str(code)[0] == first else None
    verdict = classify_reply(Reply(kept or int(f"{first}50"), f"{status} {words}", verb))
    if verdict is ReplyClass.HOST and first == "5" and verb != "EHLO":
        verdict = ReplyClass.FAIL
    phrase = _SENDER_PHRASES.get(verdict, phrase)
    return BounceReason(_refined(status, first, phrase, verdict), kept, verdict, phrase)


def _sure_status(code: int | None, phrases: frozenset[str], words: str) -> str:
    """Return the status that certain words imply whatever the codes are, or ""."""
    if _UNVERIFIED in phrases:
        return "4.4.3"
    return "5.1.2" if code is None and is_said("no_such_domain", words) else ""


def _passing_status(code: int | None, phrase: str, words: str) -> str:
    """Return the status of a temporary failure or an expiry, or ""."""
    if code and str(code)[0] == "5":
        return ""
    is_of_words = phrase == _UNKNOWN or phrase in _PHRASES_OVER_STATUS
    if not is_of_words and is_said("expired", words):
        return "4.4.7"
    return "4.0.0" if code and phrase != _UNKNOWN else ""


def _is_idiom(words: str, phrases: frozenset[str], status: str, code: int | None) -> bool:
    """Return whether these words, with these codes, are a server's way to say “no such user”."""
    told = re.sub(_ASIDE, " ", words)
    return any(
        phrases <= idiom.despite
        and idiom.statuses.fullmatch(status)
        and idiom.codes.fullmatch(str(code))
        and idiom.words.search(told)
        for idiom in idioms()
    )


def _codes(lines: list[str]) -> tuple[int | None, str]:
    """Return the first reply code, and the first enhanced code beside it or alone."""
    code, enhanced = None, ""
    for line in lines:
        found = re.search(_CODE, line, re.IGNORECASE)
        number = int(found[1] or found[2]) if found else None
        code = code or number
        if (found := re.search(_ENHANCED, line)) and number in {None, code}:
            enhanced = enhanced or found[1]
    return code, enhanced


def _vagueness(status: str) -> int:
    """Rank a status: 0 for X.Y.Z, 1 for X.Y.0, 2 for X.0.0, 3 for none."""
    return 3 if not status else 2 if ".0." in status else 1 if status.endswith(".0") else 0


def _more_specific(reported: str, found: str) -> str:
    if _vagueness(found) < _vagueness(reported):
        return found
    if _vagueness(found) == _vagueness(reported) and found[:1] == reported[:1]:
        return found
    return reported


def _verb(words: str, beside: str) -> str:
    found = re.search(_VERB, f"{words} {beside}")
    verb = found[1] if found else "RCPT"
    return {"HELO": "EHLO", "DATA": "DOT", "data": "DOT"}.get(verb, verb)


def _refined(status: str, first: str, phrase: str, verdict: ReplyClass) -> str:
    """Replace a vague status by the one that the phrase implies."""
    detail = reply_phrases()[phrase].status if phrase in reply_phrases() else "0.0"
    if first == "5" and (
        (detail == "1.1" and verdict is not ReplyClass.REFUSED) or phrase in _TEMPORARY_PHRASES
    ):
        detail = "0.0"
    if _vagueness(status) > 1 or (status[2:] == "1.0" and detail[0] == "1"):
        return f"{first}.{detail}"
    return status
