"""One message that came back: what it is, why it came, and whom it is about."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import Final

from belong_mail.mail.outcomes import Verdict
from belong_mail.reports.answers import RECEIPT, asks_to_leave, is_automatic, is_away
from belong_mail.reports.mime import Fields, Message, addresses_in, fields_of, parse
from belong_mail.reports.notices import (
    DELIVERY,
    FEEDBACK,
    Notice,
    complaint_of,
    is_report,
    notices_of,
)
from belong_mail.reports.prose import Account, account_of, is_from_server
from belong_mail.reports.reasons import Reason, explain

MOST: Final = 256 * 1024
"""Octets of a message that are looked at."""
MOST_NAMED: Final = 20
"""Recipients and paths: as many of each are kept."""

_SENT_TO = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "to")
_SENT_FROM = (
    "original-mail-from", "x-postfix-sender", "x-envelope-from", "x-envelope-sender", "return-path"
)  # fmt: skip
_REPORTS = (*DELIVERY, FEEDBACK)


class Kind(StrEnum):
    """What a message that came back is."""

    BOUNCE = "bounce"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    COMPLAINT = "complaint"
    AUTO_REPLY = "auto-reply"
    """Also a receipt (RFC 8098) that a mail program gives for having shown the message."""
    UNSUBSCRIBE = "unsubscribe"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Report:
    """What one message says, in our words; the addresses in it stay out of its `repr`."""

    kind: Kind
    permanence: str | None = None
    """Of a bounce or a delay: "permanent" or "temporary", by the class of the status."""
    verdict: Verdict | None = None
    suppress: bool = False
    """The recipient should not be written to: there is no such address, or it complains."""
    status: str = ""
    code: int | None = None
    phrase: str = ""
    recipients: tuple[str, ...] = field(default=(), repr=False)
    paths: tuple[str, ...] = field(default=(), repr=False)
    """Addresses that it was sent to, or our message from: one may be a return path of ours."""


def read(data: bytes) -> Report:
    """Return what the message is; whatever the bytes, this neither raises nor takes long."""
    message = parse(data, MOST)
    account = account_of(message)
    report = _report(message, account)
    sent, returned = message.fields, account.returned
    reported = fields_of(message.text_of(*_REPORTS) or "")
    paths = _addresses((sent, _SENT_TO), (reported, _SENT_FROM), (returned, _SENT_FROM))
    return replace(report, recipients=_few(report.recipients), paths=_few(paths))


def _report(message: Message, account: Account) -> Report:
    is_servers = is_from_server(message)
    if complaint := complaint_of(message, account.told, account.returned):
        return Report(
            Kind.COMPLAINT,
            suppress=complaint.is_about_mail,
            recipients=complaint.recipients,
        )
    if (is_servers or is_report(message)) and (notices := notices_of(message)):
        return _by_fields(notices, account)
    if not is_servers and asks_to_leave(message, account.told):
        return Report(Kind.UNSUBSCRIBE)
    if is_away(message):
        return Report(Kind.AUTO_REPLY)
    if outcome := account.outcome(message):
        return _by_words(outcome, message, account)
    return Report(Kind.AUTO_REPLY if is_automatic(message) else Kind.OTHER)


def _by_fields(notices: list[Notice], account: Account) -> Report:
    failed = [each for each in notices if each.has_failed]
    late = [each for each in notices if each.is_late]
    if not failed and not late:
        status, recipients = notices[0].status, _recipients_of(notices)
        return Report(Kind.DELIVERED, status=status, recipients=recipients)
    told = failed or late
    codes = (each.status if failed else _late(each.status) for each in told)
    reasons = [_best(each.words, code, account) for each, code in zip(told, codes, strict=True)]
    return _undelivered(Kind.BOUNCE if failed else Kind.DELAYED, reasons, _recipients_of(told))


def _by_words(outcome: str, message: Message, account: Account) -> Report:
    sent, receipt = message.fields, fields_of(message.text_of(RECEIPT) or "")
    own = {*_addresses((sent, ("from", "to")))}
    named = [*_addresses((sent, ("x-failed-recipients",)), (receipt, ("final-recipient",)))]
    named += (address for address in account.recipients() if address not in own)
    if outcome == "delivered":
        return Report(Kind.DELIVERED, recipients=tuple(named))
    if outcome == "delayed":
        return _undelivered(Kind.DELAYED, [_best("", _late(""), account)], tuple(named))
    return _undelivered(Kind.BOUNCE, [_best("", "", account)], tuple(named))


def _late(status: str) -> str:
    return f"4{status[1:]}" if status else "4.0.0"


def _best(words: str, status: str, account: Account) -> Reason:
    """Explain it by the fields; where these say too little, by the answer quoted beside them.

    Only where no answer is quoted do the server's own sentences count: they hold many words.
    """
    reason = explain(words, status, account.told)
    if reason.is_telling:
        return reason
    beside = account.replies() or account.statements()
    other = explain(beside, reason.status or status, account.told)
    return other if other.is_telling or not reason.status else reason


def _undelivered(kind: Kind, reasons: list[Reason], recipients: tuple[str, ...]) -> Report:
    """One address of several may be gone: then none is suppressed, as nobody knows which."""
    reason, is_bounce = reasons[0], kind is Kind.BOUNCE
    return Report(
        kind,
        permanence=(reason.permanence or "permanent") if is_bounce else "temporary",
        verdict=reason.verdict,
        suppress=is_bounce and all(each.verdict is Verdict.REFUSED for each in reasons),
        status=reason.status,
        code=reason.code,
        phrase=reason.phrase,
        recipients=recipients,
    )


def _recipients_of(notices: list[Notice]) -> tuple[str, ...]:
    return tuple(address for each in notices for address in each.recipients)


def _addresses(*places: tuple[Fields, tuple[str, ...]]) -> Iterator[str]:
    """Yield the addresses in the named fields, place by place and name by name."""
    for fields, names in places:
        for name in names:
            for value in fields.get(name, []):
                yield from addresses_in(value)


def _few(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(islice(dict.fromkeys(names), MOST_NAMED))
