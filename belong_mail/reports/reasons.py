"""Why a message came back: codes and words, judged by the one table of mail.outcomes."""

import re
from dataclasses import dataclass
from typing import Final

from belong_mail.mail.outcomes import Reply, Verdict, judge, known_phrase

MOST_WORDS: Final = 2_000

_ENHANCED = r"(?<![\d.])([45]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)"
_CODE = (
    r"(?:^|[:;<>(\[#]\s{0,3}|(?:said|error|code|reply|response|with|status|returned"
    r"|server)[: ]{1,3})([45][0-5]\d)(?=[ \-)\]:.,;]|$)"
    r"|(?<![\d.])([45][0-5]\d)[ \-]{1,2}[(#]{0,2}[45]\.\d{1,3}\.\d"
)
_VERB = r"(?:in reply to|after)(?: end of| pipelined)? (MAIL|RCPT|DATA|HELO|EHLO|AUTH)\b"
_EXPIRED = (
    r"expired|time.?out|timed out|too (?:long|old)|been failing|retry time"
    r"|connection (?:refused|reset|timed)|(?:not|unable to) (?:connect|be reached)|unreachable"
    r"|no route|(?:for|within|after|last) (?:more than )?\d+ (?:hours|days)|retr(?:y|ies) "
)
_STANDS_FOR: Final = {
    "session limit": "7.0",
    "sender's limit": "4.5",
    "relay limit": "4.5",
    "sender's domain not authenticated": "7.26",
    "restricted recipient": "7.1",
    "sender refused": "1.8",
    "authentication": "7.0",
    "encryption required": "7.10",
    "greylisted": "7.1",
    "sending rate": "7.0",
    "slow down": "7.0",
    "relaying denied": "7.1",
    "spam or reputation": "7.1",
    "mailbox full": "2.2",
    "used-up quota": "2.2",
    "recipient's limit": "2.2",
    "relay out of order": "3.0",
    "message too large": "3.4",
    "content refused": "6.0",
    "account disabled": "2.1",
    "domain not found": "1.2",
    "no such user": "1.1",
    "policy": "7.1",
}
"""Where no enhanced code is told (RFC 3463), the subject and detail that the words stand for."""
_PASSING = frozenset({"greylisted", "session limit", "sending rate", "slow down"})
_BECAUSE_OF_US: Final = {Verdict.SENDER: "sender refused", Verdict.QUOTA: "relay limit"}
"""Then it is not kept what the same words would mean of a recipient."""
_OF_ANOTHER_KIND = frozenset({
    "mailbox full", "message too large", "content refused", "account disabled"
})  # fmt: skip
"""Words that neither a bad address (X.1.X) nor time that ran out explains: then they count."""
_GUESSES: Final = frozenset({"5.1.1", "5.1.3", "5.1.6"})
"""What sendmail writes for every bare 550, 553 or 551: there the words count."""
_AGREES = r"mailbox (is )?unavailable|> recipient rejected|not our customer"
"""Words that may mean anything, and with such a code mean that there is no address."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A status of "" says that nothing told why; then there is no verdict either."""

    status: str
    code: int | None
    verdict: Verdict | None
    phrase: str

    @property
    def permanence(self) -> str | None:
        return {"5": "permanent", "4": "temporary"}.get(self.status[:1])

    @property
    def is_telling(self) -> bool:
        """Tell whether it says more than that something failed."""
        return bool(self.phrase) or _vagueness(self.status) == 0


def explain(words: str, status: str, beside: str = "") -> Reason:
    """Return the reason in what a server said, and in the status that a report gives it.

    The more precise of two codes counts; among equals the report's class, the server's detail.
    The verb that was refused may stand beside the words: a sender's fault is not the address's.
    What is out of order for good is the recipient's server, as the relay took the message.
    """
    lines = [re.sub(r"\S+@[\w.-]+", "<>", line) for line in words[:MOST_WORDS].split("\n")]
    words = " ".join(" ".join(lines).split())
    code, told = _codes(lines)
    status = _finer(status if status[:1] in "45" else "", told)
    phrase = known_phrase(words)
    if code and status in _GUESSES and status != told:
        agrees = not phrase and re.search(_AGREES, words, re.IGNORECASE)
        status = status if agrees else ""
    elif phrase in _OF_ANOTHER_KIND and status[1:3] == ".1":
        status = ""
    is_final = str(code).startswith("5") or phrase in _OF_ANOTHER_KIND
    if _vagueness(status) > 1 and not is_final and re.search(_EXPIRED, words, re.IGNORECASE):
        status = "4.4.7"
    if not (status or code or phrase):
        return Reason("", None, None, "")
    first = status[:1] or str(code or 5)[0]
    reply = Reply(_code_of(code, first), f"{status} {words}", _verb(words, beside))
    verdict = judge(reply)
    if verdict is Verdict.HOST and first == "5" and reply.verb != "EHLO":
        verdict = Verdict.FAIL
    phrase = _BECAUSE_OF_US.get(verdict, phrase)
    return Reason(_refined(status, first, phrase, verdict), code, verdict, phrase)


def _codes(lines: list[str]) -> tuple[int | None, str]:
    """Return the first code and the first enhanced one that does not stand beside another."""
    code, enhanced = None, ""
    for line in lines:
        found = re.search(_CODE, line, re.IGNORECASE)
        number = int(found[1] or found[2]) if found else None
        code = code or number
        if (told := re.search(_ENHANCED, line)) and number in {None, code}:
            enhanced = enhanced or told[1]
    return code, enhanced


def _vagueness(status: str) -> int:
    """Rank codes: 0 for X.Y.Z, 1 for X.Y.0, 2 for X.0.0, 3 for none."""
    return 3 if not status else 2 if ".0." in status else 1 if status.endswith(".0") else 0


def _finer(reported: str, told: str) -> str:
    if _vagueness(told) < _vagueness(reported):
        return told
    if _vagueness(told) == _vagueness(reported) and told[:1] == reported[:1]:
        return told
    return reported


def _code_of(code: int | None, first: str) -> int:
    return code if code and str(code)[0] == first else int(f"{first}50")


def _verb(words: str, beside: str) -> str:
    found = re.search(_VERB, f"{words} {beside}")
    verb = found[1] if found else "RCPT"
    return {"HELO": "EHLO", "DATA": "DOT"}.get(verb, verb)


def _refined(status: str, first: str, phrase: str, verdict: Verdict) -> str:
    """Return the code that the words stand for where the told one is vague."""
    detail = _STANDS_FOR.get(phrase, "0.0")
    if first == "5" and (
        (detail == "1.1" and verdict is not Verdict.REFUSED) or phrase in _PASSING
    ):
        detail = "0.0"
    if _vagueness(status) > 1 or (status[2:] == "1.0" and detail[0] == "1"):
        return f"{first}.{detail}"
    return status
