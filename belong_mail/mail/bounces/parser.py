"""Parse a returned message: its kind, reason and recipients."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import Final

from belong_mail.mail.bounces import MAX_NAMED, MAX_OCTETS
from belong_mail.mail.bounces.dsn import (
    DELIVERY,
    FEEDBACK,
    RecipientStatus,
    complaint_of,
    is_report,
    statuses_of,
)
from belong_mail.mail.bounces.heuristics import (
    RECEIPT,
    BounceText,
    answers_for_a_person,
    asks_to_unsubscribe,
    bounce_text_of,
    is_automatic_reply,
    is_from_server,
    is_out_of_office,
    is_refused_by_list,
    is_sent_by_machine,
    waits_for_confirmation,
)
from belong_mail.mail.bounces.mime import Fields, Message, addresses_in, fields_of, parse_message
from belong_mail.mail.bounces.reasons import BounceReason, classify_bounce
from belong_mail.mail.smtp.replies import ReplyClass

_SENT_TO = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "to")
_SENT_FROM = (
    "original-mail-from", "x-postfix-sender", "x-envelope-from", "x-envelope-sender", "return-path"
)  # fmt: skip
_REPORTS = (*DELIVERY, FEEDBACK)


class Kind(StrEnum):
    """The kinds of messages that come back."""

    BOUNCE = "bounce"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    COMPLAINT = "complaint"
    # Includes receipts (RFC 8098): a mail program confirms that it displayed the message.
    AUTO_REPLY = "auto-reply"
    UNSUBSCRIBE = "unsubscribe"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Report:
    """The result of parsing a returned message; `repr` shows no addresses."""

    kind: Kind
    # For a bounce or delay: "permanent" or "temporary", by the first digit of the status.
    permanence: str | None = None
    verdict: ReplyClass | None = None
    # Whether the recipient should not be emailed again: no such address, or a complaint.
    suppress: bool = False
    status: str = ""
    code: int | None = None
    phrase: str = ""
    recipients: tuple[str, ...] = field(default=(), repr=False)
    # Forwarding targets of a recipient's mailbox, where the report has them.
    last_tried: tuple[str, ...] = field(default=(), repr=False)
    # Addresses that the report was sent to, or our message came from: perhaps our return paths.
    paths: tuple[str, ...] = field(default=(), repr=False)
    # Message-IDs of the returned message, or of the message that it replies to.
    message_ids: tuple[str, ...] = field(default=(), repr=False)
    # Recipients of the returned message, and its List-Unsubscribe values (RFC 2369).
    sent_to: tuple[str, ...] = field(default=(), repr=False)
    ways_out: tuple[str, ...] = field(default=(), repr=False)
    # Whether a program sent it by itself, without a person's action.
    is_automatic: bool = False


OTHER: Final = Report(Kind.OTHER)
_LISTS_REFUSAL = "550 5.7.2 restricted recipient"


def parse_report(data: bytes) -> Report:
    """Parse a message of any bytes, without raising, in bounded time."""
    message = parse_message(data, MAX_OCTETS)
    account = bounce_text_of(message)
    report = _report(message, account)
    sent, returned = message.fields, account.returned
    reported = fields_of(message.text_of(*_REPORTS) or "")
    paths = _addresses((sent, _SENT_TO), (reported, _SENT_FROM), (returned, _SENT_FROM))
    answered = (sent, ("in-reply-to", "references"))
    ids = _ids((returned, ("message-id",)), (reported, ("original-message-id",)), answered)
    return replace(
        report,
        recipients=_limited(report.recipients),
        paths=_limited(paths),
        message_ids=_limited(ids),
        sent_to=_limited(_addresses((returned, ("to",)))),
        ways_out=_limited(returned.get("list-unsubscribe", [])),
        is_automatic=is_sent_by_machine(message),
    )


def _report(message: Message, account: BounceText) -> Report:
    is_servers = is_from_server(message)
    if complaint := complaint_of(message, account.report_text, account.returned):
        is_about_mail, recipients = complaint
        return Report(Kind.COMPLAINT, suppress=is_about_mail, recipients=recipients)
    if (is_servers or is_report(message)) and (notices := statuses_of(message)):
        return _by_fields(notices, account) or _by_action_alone(notices, message, account)
    if not is_servers and asks_to_unsubscribe(message, account.report_text):
        return Report(Kind.UNSUBSCRIBE)
    if is_out_of_office(message) or waits_for_confirmation(message, account.report_text):
        return Report(Kind.AUTO_REPLY)
    return _without_fields(message, account)


def _without_fields(message: Message, account: BounceText) -> Report:
    """Decide by the text and the headers of a message that has no fields for programs."""
    if is_refused_by_list(message, account.report_text):
        return _undelivered(Kind.BOUNCE, [classify_bounce(_LISTS_REFUSAL, "")], ())
    if answers_for_a_person(message):
        return Report(Kind.AUTO_REPLY)
    if outcome := account.outcome(message):
        return _by_words(outcome, message, account)
    return Report(Kind.AUTO_REPLY) if is_automatic_reply(message) else OTHER


def _by_action_alone(
    notices: list[RecipientStatus], message: Message, account: BounceText
) -> Report:
    """Decide by the text if the report's Action is unknown."""
    if any(each.status[:1] == "2" or each.has_arrived for each in notices):
        return OTHER
    return _by_words("failed", message, account)


def _by_fields(notices: list[RecipientStatus], account: BounceText) -> Report | None:
    """Decide by the report's fields; return None if they have no known action."""
    failed = [each for each in notices if each.has_failed]
    late = [each for each in notices if each.is_late]
    if not failed and not late:
        if not all(each.has_arrived for each in notices):
            return None
        status, recipients = notices[0].status, _recipients_of(notices)
        return Report(Kind.DELIVERED, status=status, recipients=recipients)
    statuses = failed or late
    codes = (each.status if failed else _late(each.status) for each in statuses)
    reasons = [_best(each.words, code, account) for each, code in zip(statuses, codes, strict=True)]
    kind = Kind.BOUNCE if failed else Kind.DELAYED
    last_tried = _limited(address for each in statuses for address in each.last_tried)
    return replace(_undelivered(kind, reasons, _recipients_of(statuses)), last_tried=last_tried)


def _by_words(outcome: str, message: Message, account: BounceText) -> Report:
    """Return the report of an outcome (`BounceText.outcome`), with what its text says of it."""
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


def _best(words: str, status: str, account: BounceText) -> BounceReason:
    """Explain a failure by the report's fields or, if these say little, by a quoted reply.

    The text's own sentences match too many phrases, so they count only without a quoted reply.
    """
    reason = classify_bounce(words, status, account.report_text)
    if reason.is_telling:
        return reason
    beside = account.replies or account.statements
    other = classify_bounce(beside, reason.status or status, account.report_text)
    return other if other.is_telling or not reason.status else reason


def _undelivered(kind: Kind, reasons: list[BounceReason], recipients: tuple[str, ...]) -> Report:
    """Return a bounce or delay; suppress only if every reason is that the address is gone."""
    reason, is_bounce = reasons[0], kind is Kind.BOUNCE
    return Report(
        kind,
        permanence=(reason.permanence or "permanent") if is_bounce else "temporary",
        verdict=reason.verdict,
        suppress=is_bounce and all(each.verdict is ReplyClass.REFUSED for each in reasons),
        status=reason.status if is_bounce else _late(reason.status),
        code=reason.code,
        phrase=reason.phrase,
        recipients=recipients,
    )


def _recipients_of(notices: list[RecipientStatus]) -> tuple[str, ...]:
    return tuple(address for each in notices for address in each.recipients)


def _addresses(*places: tuple[Fields, tuple[str, ...]]) -> Iterator[str]:
    return (address for value in _values(*places) for address in addresses_in(value))


def _ids(*places: tuple[Fields, tuple[str, ...]]) -> Iterator[str]:
    """Yield the Message-IDs in these fields, the last (nearest) of each field first."""
    return (name for value in _values(*places) for name in reversed(value.split()))


def _values(*places: tuple[Fields, tuple[str, ...]]) -> Iterator[str]:
    """Yield the values of these fields, in the order given."""
    return (value for fields, names in places for name in names for value in fields.get(name, ()))


def _limited(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(islice(dict.fromkeys(names), MAX_NAMED))
