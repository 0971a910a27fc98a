"""Parse delivery reports (RFC 3464) and feedback reports (RFC 5965)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from belong_mail.mail.bounces import MAX_NAMED
from belong_mail.mail.bounces.mime import Fields, Message, addresses_in, fields_of, first
from belong_mail.mail.bounces.reasons import classify_bounce
from belong_mail.mail.phrases import is_said

DELIVERY: Final = ("message/delivery-status", "message/global-delivery-status")
FEEDBACK: Final = "message/feedback-report"
# If a mailbox forwards, the target is in the first field; in Sendmail's reports, in the third
# (RFC 3464, 2.3).
_RECIPIENTS: Final = ("final-recipient", "original-recipient", "x-actual-recipient")
_HOTMAILS = "x-hmxmroriginalrecipient"
_ARRIVED: Final = frozenset({"delivered", "relayed", "expanded"})
_HARMLESS = frozenset({"not-spam", "auth-failure", "miscategorized", "virus", "dmarc"})
_FEEDBACK_FIELD = r"^feedback-type: *[a-z-]+$"


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """A delivery report's fields for one recipient."""

    action: str
    status: str
    words: str
    recipients: tuple[str, ...]
    # The forwarding target, if the recipient's mailbox forwards.
    last_tried: tuple[str, ...]

    @property
    def has_failed(self) -> bool:
        return self.action.startswith("fail") or (self._is_vague and self.status[:1] == "5")

    @property
    def is_late(self) -> bool:
        return self.action.startswith("delay") or (self._is_vague and self.status[:1] == "4")

    @property
    def has_arrived(self) -> bool:
        return self.action in _ARRIVED or (not self.action and self.status[:1] == "2")

    @property
    def _is_vague(self) -> bool:
        return self.action not in {"failed", "delayed", *_ARRIVED}


def statuses_of(message: Message) -> list[RecipientStatus]:
    """Return the statuses of the first recipients in the outermost report."""
    found = list(islice(_statuses(message.text_of(*DELIVERY) or ""), MAX_NAMED))
    return [each for each in found if each.status or each.recipients] or found


def is_report(message: Message) -> bool:
    """Return whether the report is a part of multipart/report, not an attachment by a person."""
    return any(
        part.kind in DELIVERY and part.within == "multipart/report" for part in message.parts
    )


def _statuses(text: str) -> Iterator[RecipientStatus]:
    for group in re.split(r"\n[ \t]*\n", text):
        fields = fields_of(group)
        if fields.keys() & {"action", "status", "final-recipient"}:
            words, action = _field_text(fields), first(fields, "action").lower()
            final, original, actual = (
                tuple(addresses_in(first(fields, name))) for name in _RECIPIENTS
            )
            yield RecipientStatus(
                action=action.split(" ")[0].strip("\"'()"),
                status=_status_code(first(fields, "status")) or _status_in(action, words),
                words=words,
                recipients=(*final, *original, *actual),
                last_tried=actual or final,
            )


def complaint_of(
    message: Message, report_text: str, returned: Fields
) -> tuple[bool, tuple[str, ...]] | None:
    """Return whether a person complained, and the recipients; None if this is no complaint.

    False stands for a report by a virus filter or an authentication check. The format may be loose.
    """
    report = message.text_of(FEEDBACK)
    if (
        report is None
        and _HOTMAILS not in returned
        and not re.search(_FEEDBACK_FIELD, report_text, re.IGNORECASE | re.MULTILINE)
        and not (returned and is_said("complaint", report_text))
    ):
        return None
    fields = fields_of(report_text if report is None else report)
    kind = first(fields, "feedback-type").strip().lower()
    named = [*_all_fields(fields, "original-rcpt-to"), *_all_fields(fields, "removal-recipient")]
    named += _all_fields(returned, _HOTMAILS)
    return kind not in _HARMLESS, tuple(named or _all_fields(returned, "to"))


def _status_in(action: str, words: str) -> str:
    """Return the status that the text implies, if the Action is missing or unknown."""
    is_known = action.startswith(("fail", "delay", *_ARRIVED))
    return "" if is_known else classify_bounce(words, "").status


def _status_code(value: str) -> str:
    found = re.search(r"(?<!\d)[245]\.\d{1,3}\.\d{1,3}", value)
    return found[0] if found else ""


def _field_text(fields: Fields) -> str:
    values = [*fields.get("diagnostic-code", []), *fields.get("x-supplementary-info", [])]
    return " ".join(re.sub(r"^[\w.+-]{1,40}\s?;", "", value).strip() for value in values)


def _all_fields(fields: Fields, name: str) -> list[str]:
    return [address for value in fields.get(name, []) for address in addresses_in(value)]
