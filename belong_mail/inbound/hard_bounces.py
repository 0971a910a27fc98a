"""Permanent (hard) bounces: undelivered emails that end a membership.

A relay's reply, or a report that came back later, gets a `ReplyClass` by one table
(`mail.smtp.replies.RULES`; `mail.bounces.reasons` reads the codes and words of a report for it).
Only its codes and our phrase for its words are stored, and judged here again:

| class            | what it says                                    | what follows               |
|------------------|-------------------------------------------------|----------------------------|
| REFUSED          | there is no such address                        | `UNKNOWN`: 2 mails, 12 h   |
| FAIL, DEFER      | mailbox full, account disabled, no such domain  | the rule of `RULES`        |
| FAIL, DEFER      | anything else                                   | nothing                    |
| all others       | our fault, or the relay's, or the message's     | nothing                    |

`bounces` counts emails in a row, back to one that arrived, behind a circuit breaker.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from belong_mail.delivery.models import Delivery
from belong_mail.mail.smtp.replies import Reply, ReplyClass, classify_reply


@dataclass(frozen=True, slots=True)
class BounceRule:
    """How many emails in a row, over how long, end a membership."""

    times: int
    over: timedelta
    # Whether many at once are not believed, because a directory is at fault.
    is_about_existence: bool = False
    # Applies if this pattern of enhanced status codes (RFC 3463), or our phrase, matches.
    statuses: str = ""
    phrase: str = ""


# Half a day apart, so that a directory that is out of order for an hour ends no membership.
UNKNOWN: Final = BounceRule(2, timedelta(hours=12), is_about_existence=True)


# Beside UNKNOWN; the first match counts.
RULES: Final = (
    # A month: its owner may be away.
    BounceRule(5, timedelta(days=30), statuses=r"[45]\.2\.2", phrase="mailbox full"),
    # An account may be off for a day.
    BounceRule(3, timedelta(days=2), statuses=r"5\.2\.1|5\.7\.13", phrase="account disabled"),
    # A domain's DNS may be out of order for a day.
    BounceRule(
        2,
        timedelta(hours=24),
        is_about_existence=True,
        statuses=r"5\.1\.2|5\.4\.4",
        phrase="domain not found",
    ),
)


def rule_of(delivery: Delivery) -> BounceRule | None:
    """Return the rule for an undelivered email, or None if the address is not at fault."""
    verdict = reclassify(delivery)
    if verdict is ReplyClass.REFUSED:
        return UNKNOWN
    if verdict not in (ReplyClass.FAIL, ReplyClass.DEFER):
        return None
    status, phrase = delivery.enhanced or "", delivery.phrase
    fitting = (one for one in RULES if re.fullmatch(one.statuses, status) or one.phrase == phrase)
    return next(fitting, None)


def reclassify(delivery: Delivery) -> ReplyClass:
    """Classify a stored reply again, by its codes and our phrase."""
    enhanced, phrase = delivery.enhanced or "", delivery.phrase or ""
    code = delivery.code or (450 if enhanced.startswith("4") else 550)
    return classify_reply(Reply(code, f"{enhanced} {phrase}", "RCPT"))
