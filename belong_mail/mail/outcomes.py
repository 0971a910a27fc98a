"""What a relay's reply means for the message, its recipient and the whole queue."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from belong_mail.mail.phrases import said

_ENHANCED = re.compile(r"\W{0,2}([245]\.\d{1,3}\.\d{1,3})(?!\d)")


@dataclass(frozen=True, slots=True)
class Reply:
    """A relay's answer to a verb (or to CONNECT, or DOT, the final one).

    The text often quotes addresses: it is for judging, not for keeping.
    """

    code: int
    text: str
    verb: str

    @property
    def enhanced(self) -> str:
        """The enhanced status code (RFC 3463), such as "5.1.1", or ""."""
        found = _ENHANCED.match(self.text)
        return found[1] if found and found[1][0] == str(self.code)[0] else ""


class Verdict(Enum):
    """What a reply asks of us."""

    ACCEPTED = "accepted"
    DEFER = "defer"
    """The recipient cannot have it now: this delivery is tried again later."""
    HOST = "host"
    """The relay cannot go on now: try later, and count it against nobody."""
    QUOTA = "quota"
    """The relay takes no more from us for a while: the queue waits, nobody is suppressed."""
    FAIL = "fail"
    """This message is lost to this recipient, who is not suppressed."""
    REFUSED = "refused"
    """There is no such address: it is suppressed."""
    POLICY = "policy"
    """The relay or the receiver does not like us or our ways."""
    CONTENT = "content"
    """The message is too large or says something unwelcome."""
    CREDENTIALS = "credentials"
    """The relay does not know us: the queue stops until somebody looks."""
    SENDER = "sender"
    """Our return path or our protocol is wrong: the queue stops until somebody looks."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Applies where each of its patterns matches; an empty one always does."""

    verdict: Verdict
    code: str = ""
    enhanced: str = ".*"
    verb: str = ".*"
    says: frozenset[str] = frozenset()

    def fits(self, reply: Reply, phrases: frozenset[str]) -> bool:
        """Tell whether the rule is about this reply, whose text holds these phrases."""
        return bool(
            re.match(self.code, str(reply.code))
            and re.fullmatch(self.enhanced, reply.enhanced)
            and re.fullmatch(self.verb, reply.verb)
            and (not self.says or self.says & phrases)
        )


def _says(*phrases: str) -> frozenset[str]:
    return frozenset(phrases)


_ILL_REPUTE = _says("sender's domain not authenticated", "relaying denied", "spam or reputation")

RULES: Final = (
    Rule(Verdict.QUOTA, "[45]", says=_says("sender's limit")),
    Rule(Verdict.FAIL, "5", r"5\.2\.2"),
    Rule(Verdict.CONTENT, "5", r"5\.2\.3|5\.3\.4"),
    Rule(Verdict.HOST, "[45]", says=_says("session limit")),
    Rule(Verdict.QUOTA, "[45]", r"[45]\.4\.5|5\.1\.90"),
    Rule(Verdict.QUOTA, "[45]", says=_says("relay limit")),
    Rule(Verdict.CREDENTIALS, "53[0458]|52[34]"),
    Rule(Verdict.CREDENTIALS, "5", verb="AUTH"),
    Rule(Verdict.HOST, verb="CONNECT|EHLO|LHLO|STARTTLS|AUTH|RSET"),
    Rule(Verdict.HOST, "421"),
    Rule(Verdict.HOST, "4", verb="MAIL"),
    Rule(Verdict.DEFER, "4", r"4\.2\.[12]"),
    Rule(Verdict.HOST, "4", r"4\.5\.3|4\.7\.(28|5\d\d|6\d\d)"),
    Rule(Verdict.DEFER, "4", says=_says("greylisted")),
    Rule(Verdict.HOST, "4", says=_says("slow down", "sending suspended")),
    Rule(Verdict.DEFER, "4", says=_says("try again later")),
    Rule(Verdict.HOST, "4", r"4\.7\.0"),
    Rule(Verdict.DEFER, "4"),
    Rule(Verdict.SENDER, "5", says=_says("sending suspended")),
    Rule(Verdict.SENDER, "5", r"5\.7\.(50[123]|64|750)"),
    Rule(Verdict.QUOTA, "5", says=_says("sending rate")),
    Rule(Verdict.QUOTA, "5", r"5\.7\..*", says=_says("used-up quota")),
    Rule(Verdict.FAIL, "5", says=_says("restricted recipient")),
    Rule(Verdict.POLICY, "5", says=_says("sender's domain not authenticated")),
    Rule(Verdict.POLICY, "5", r"5\.7\.9", "RCPT|DATA|DOT"),
    Rule(Verdict.CREDENTIALS, "5", r"5\.7\.(3|8|9|10|11|57|139)"),
    Rule(Verdict.SENDER, "5", r"5\.1\.[78]|5\.7\.60"),
    Rule(Verdict.SENDER, "5", says=_says("sender refused")),
    Rule(Verdict.CREDENTIALS, "5", says=_says("authentication", "encryption required")),
    Rule(Verdict.CONTENT, "552", says=_says("content refused")),
    Rule(Verdict.POLICY, "5", says=_ILL_REPUTE),
    Rule(Verdict.FAIL, "5", r"5\.(3\.1|7\..*)", says=_says("recipient's limit")),
    Rule(Verdict.HOST, "5", r"5\.3\.[125]"),
    Rule(Verdict.HOST, "5", r"(5\.[03]\.0)?", says=_says("relay out of order")),
    Rule(Verdict.FAIL, "525"),
    Rule(Verdict.FAIL, "5", r"5\.1\.2|5\.2\.1|5\.4\.4|5\.7\.13"),
    Rule(Verdict.CONTENT, "5", r"(5\.[67]\..*)?", says=_says("content refused")),
    Rule(Verdict.CONTENT, "5", r"5\.6\..*"),
    Rule(Verdict.POLICY, "5", r"5\.7\..*"),
    Rule(Verdict.FAIL, "5", "", says=_says("mailbox full", "account disabled")),
    Rule(Verdict.CONTENT, "5", "", says=_says("message too large")),
    Rule(Verdict.SENDER, "5", verb="MAIL"),
    Rule(Verdict.FAIL, "5", says=_says("slow down")),
    Rule(Verdict.REFUSED, "5", r"5\.1\.(1|3|6|10)"),
    Rule(Verdict.FAIL, "5", says=_says("domain not found")),
    Rule(Verdict.REFUSED, "5", r"(5\.[01235]\.0)?", says=_says("no such user")),
    Rule(Verdict.FAIL, "55", r"5\.5\.0"),
    Rule(Verdict.SENDER, "5", r"5\.5\..*"),
    Rule(Verdict.POLICY, "5", "", says=_says("policy")),
    Rule(Verdict.SENDER, "50[0-4]"),
    Rule(Verdict.FAIL, "5"),
    Rule(Verdict.HOST),
)
"""The first that fits decides. What may be our fault comes before what may be the address's."""


def judge(reply: Reply) -> Verdict:
    """Return what the reply asks of us, by its codes, its verb and its words."""
    if 200 <= reply.code < 300:  # noqa: PLR2004 - the class of codes
        return Verdict.ACCEPTED
    words = frozenset(said(reply.text))
    return next(rule.verdict for rule in RULES if rule.fits(reply, words))


def known_phrase(text: str) -> str:
    """Return our name for what the text says, or "": the relay's own words quote addresses."""
    return next(said(text), "")
