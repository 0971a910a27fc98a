"""The rules by which bounced emails end a membership.

A relay's reply, or a report that came later, is classified by `mail.smtp.replies.RULES`; for a
report, `mail.bounces.reasons` extracts codes and words. Only the codes and a known phrase are
stored, so they are classified again here:

| class            | meaning                                         | what follows               |
|------------------|-------------------------------------------------|----------------------------|
| REFUSED          | there is no such address                        | `UNKNOWN`: 2 emails, 12 h  |
| FAIL, DEFER      | mailbox full, account disabled, no such domain  | the rule of `RULES`        |
| FAIL, DEFER      | anything else                                   | nothing                    |
| all others       | our fault, the relay's, or the message's        | nothing                    |

`inbound.bounces` counts emails in a row, back to one that arrived, behind a circuit breaker.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from belong_mail.delivery.models import Delivery
from belong_mail.mail.smtp.replies import Reply, ReplyClass, classify_reply


@dataclass(frozen=True, slots=True)
class BounceRule:
    """How many emails in a row, over how long a time, end a membership."""

    times: int
    over: timedelta
    # Whether the circuit breaker applies: a domain's directory may be out of order.
    is_about_existence: bool = False
    # Applies to a status that matches this pattern (RFC 3463), or to this phrase.
    statuses: str = ""
    phrase: str = ""


# Half a day apart, so that a directory that fails for an hour ends no membership.
UNKNOWN: Final = BounceRule(2, timedelta(hours=12), is_about_existence=True)


# For other classes than REFUSED; the first match applies.
RULES: Final = (
    # The owner may be away for a month.
    BounceRule(5, timedelta(days=30), statuses=r"[45]\.2\.2", phrase="mailbox full"),
    # An account may be off for a day.
    BounceRule(3, timedelta(days=2), statuses=r"5\.2\.1|5\.7\.13", phrase="account disabled"),
    # A domain's DNS may fail for a day.
    BounceRule(
        2,
        timedelta(hours=24),
        is_about_existence=True,
        statuses=r"5\.1\.2|5\.4\.4",
        phrase="domain not found",
    ),
)


def rule_of(delivery: Delivery) -> BounceRule | None:
    """Return the rule that an undelivered email counts for, or None if it counts for none."""
    verdict = reclassify(delivery)
    if verdict is ReplyClass.REFUSED:
        return UNKNOWN
    if verdict not in (ReplyClass.FAIL, ReplyClass.DEFER):
        return None
    status, phrase = delivery.enhanced or "", delivery.phrase
    fitting = (one for one in RULES if re.fullmatch(one.statuses, status) or one.phrase == phrase)
    return next(fitting, None)


def reclassify(delivery: Delivery) -> ReplyClass:
    """Classify a stored reply by its codes and phrase."""
    enhanced, phrase = delivery.enhanced or "", delivery.phrase or ""
    code = delivery.code or (450 if enhanced.startswith("4") else 550)
    return classify_reply(Reply(code, f"{enhanced} {phrase}", "RCPT"))
