"""Classify SMTP replies by their consequence for the message, its recipient and the queue."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from belong_mail.mail.phrases import phrases_in_reply

# As Postfix, Exim, Microsoft and Amazon SES announce it; never the start of an address.
_QUEUE_ID = re.compile(r"(?i)(?:queued as |\bid=|InternalId=|^Ok )([a-z0-9-]{6,64})\b(?!\S{0,99}@)")
_ENHANCED = re.compile(r"\W{0,2}([245]\.\d{1,3}\.\d{1,3})(?!\d)")


@dataclass(frozen=True, slots=True)
class Reply:
    """A relay's answer to a verb (or to CONNECT, or DOT, the final one).

    The text often quotes addresses: use it to classify, and do not store it.
    """

    code: int
    text: str
    verb: str

    @property
    def enhanced(self) -> str:
        """The enhanced status code (RFC 3463), such as "5.1.1", or ""."""
        found = _ENHANCED.match(self.text)
        return found[1] if found and found[1][0] == str(self.code)[0] else ""

    @property
    def queue_id(self) -> str:
        """The message's id in the relay's queue, or ""."""
        found = _QUEUE_ID.search(self.text)
        return found[1] if found else ""


class ReplyClass(Enum):
    """The consequence of a reply."""

    ACCEPTED = "accepted"
    # Temporary, about this recipient: the delivery is retried later.
    DEFER = "defer"
    # Temporary, about the relay: retried later, and not counted as an attempt.
    HOST = "host"
    # Our sending limit at the relay is reached: the queue waits, no one is suppressed.
    QUOTA = "quota"
    # This message fails for this recipient, who is not suppressed.
    FAIL = "fail"
    # There is no such address: it is suppressed.
    REFUSED = "refused"
    # An objection to us as a sender, or to how we send.
    POLICY = "policy"
    # The message is too large or its content unwelcome.
    CONTENT = "content"
    # Our login is refused: the queue waits until an operator has fixed it.
    CREDENTIALS = "credentials"
    # Our return path or use of SMTP is refused: the queue waits until an operator has fixed it.
    SENDER = "sender"


@dataclass(frozen=True, slots=True)
class ReplyRule:
    """Gives a class to replies that match all patterns; an empty `code` or `says` matches."""

    verdict: ReplyClass
    code: str = ""
    enhanced: str = ".*"
    verb: str = ".*"
    says: tuple[str, ...] = ()

    def fits(self, reply: Reply, phrases: frozenset[str]) -> bool:
        return bool(
            re.match(self.code, str(reply.code))
            and re.fullmatch(self.enhanced, reply.enhanced)
            and re.fullmatch(self.verb, reply.verb)
            and (not self.says or not phrases.isdisjoint(self.says))
        )


# The first matching rule decides. Faults that may be ours come before those of an address.
RULES: Final = (
    ReplyRule(ReplyClass.QUOTA, "[45]", says=("sender's limit",)),
    ReplyRule(ReplyClass.FAIL, "5", r"5\.2\.2"),
    ReplyRule(ReplyClass.CONTENT, "5", r"5\.2\.3|5\.3\.4"),
    ReplyRule(ReplyClass.HOST, "[45]", says=("session limit",)),
    ReplyRule(ReplyClass.QUOTA, "[45]", r"[45]\.4\.5|5\.1\.90"),
    ReplyRule(ReplyClass.QUOTA, "[45]", says=("relay limit",)),
    ReplyRule(ReplyClass.CREDENTIALS, "53[0458]|52[34]"),
    ReplyRule(ReplyClass.CREDENTIALS, "5", verb="AUTH"),
    ReplyRule(ReplyClass.HOST, verb="CONNECT|EHLO|LHLO|STARTTLS|AUTH|RSET"),
    ReplyRule(ReplyClass.HOST, "421"),
    ReplyRule(ReplyClass.HOST, "4", verb="MAIL"),
    ReplyRule(ReplyClass.DEFER, "4", r"4\.2\.[12]"),
    ReplyRule(ReplyClass.HOST, "4", r"4\.5\.3|4\.7\.(28|5\d\d|6\d\d)"),
    ReplyRule(ReplyClass.DEFER, "4", says=("greylisted",)),
    ReplyRule(ReplyClass.HOST, "4", says=("slow down", "sending suspended")),
    ReplyRule(ReplyClass.DEFER, "4", says=("try again later",)),
    ReplyRule(ReplyClass.HOST, "4", r"4\.7\.0"),
    ReplyRule(ReplyClass.DEFER, "4"),
    ReplyRule(ReplyClass.SENDER, "5", says=("sending suspended",)),
    ReplyRule(ReplyClass.SENDER, "5", r"5\.7\.(50[123]|64|750)"),
    ReplyRule(ReplyClass.QUOTA, "5", says=("sending rate",)),
    ReplyRule(ReplyClass.QUOTA, "5", r"5\.7\..*", says=("used-up quota",)),
    ReplyRule(ReplyClass.FAIL, "5", says=("restricted recipient",)),
    ReplyRule(ReplyClass.POLICY, "5", says=("sender's domain not authenticated",)),
    ReplyRule(ReplyClass.POLICY, "5", r"5\.7\.9", "RCPT|DATA|DOT"),
    ReplyRule(ReplyClass.CREDENTIALS, "5", r"5\.7\.(3|8|9|10|11|57|139)"),
    ReplyRule(ReplyClass.SENDER, "5", r"5\.1\.[78]|5\.7\.60"),
    ReplyRule(ReplyClass.SENDER, "5", says=("sender refused",)),
    ReplyRule(ReplyClass.FAIL, "5", says=("verification timed out",)),
    ReplyRule(ReplyClass.CREDENTIALS, "5", says=("authentication", "encryption required")),
    ReplyRule(ReplyClass.CONTENT, "552", says=("content refused",)),
    ReplyRule(ReplyClass.POLICY, "5", says=("relaying denied", "spam or reputation")),
    ReplyRule(ReplyClass.FAIL, "5", r"5\.(3\.1|7\..*)", says=("recipient's limit",)),
    ReplyRule(ReplyClass.HOST, "5", r"5\.3\.[125]"),
    ReplyRule(ReplyClass.HOST, "5", r"(5\.[03]\.0)?", says=("relay out of order",)),
    ReplyRule(ReplyClass.FAIL, "525"),
    ReplyRule(ReplyClass.FAIL, "5", r"5\.1\.2|5\.2\.1|5\.4\.4|5\.7\.13"),
    ReplyRule(ReplyClass.CONTENT, "5", r"(5\.[67]\..*)?", says=("content refused",)),
    ReplyRule(ReplyClass.CONTENT, "5", r"5\.6\..*"),
    ReplyRule(ReplyClass.POLICY, "5", r"5\.7\..*"),
    ReplyRule(ReplyClass.FAIL, "5", r"(5\.[0125]\.0)?", says=("mailbox full", "account disabled")),
    ReplyRule(ReplyClass.CONTENT, "5", "", says=("message too large",)),
    ReplyRule(ReplyClass.SENDER, "5", verb="MAIL"),
    ReplyRule(ReplyClass.FAIL, "5", says=("slow down",)),
    ReplyRule(ReplyClass.REFUSED, "5", r"5\.1\.(1|3|6|10|351)"),
    ReplyRule(ReplyClass.FAIL, "5", says=("domain not found",)),
    ReplyRule(
        ReplyClass.REFUSED, "5", r"(5\.([01235]\.0|[45]\.1|1\.\d+))?", says=("no such user",)
    ),
    ReplyRule(ReplyClass.FAIL, "55", r"5\.5\.0"),
    ReplyRule(ReplyClass.SENDER, "5", r"5\.5\..*"),
    ReplyRule(ReplyClass.POLICY, "5", "", says=("policy",)),
    ReplyRule(ReplyClass.SENDER, "50[0-4]"),
    ReplyRule(ReplyClass.FAIL, "5"),
    ReplyRule(ReplyClass.HOST),
)


def classify_reply(reply: Reply) -> ReplyClass:
    """Classify a reply by its code, enhanced code, verb and phrases."""
    if 200 <= reply.code < 300:  # noqa: PLR2004 - the class of codes
        return ReplyClass.ACCEPTED
    words = frozenset(phrases_in_reply(reply.text))
    return next(rule.verdict for rule in RULES if rule.fits(reply, words))
