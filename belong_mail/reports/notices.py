"""What RFC 3464 (delivery) and RFC 5965 (complaints) say in fields."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from belong_mail.reports.mime import Fields, Message, addresses_in, fields_of, first

DELIVERY: Final = ("message/delivery-status", "message/global-delivery-status")
FEEDBACK: Final = "message/feedback-report"

_HOTMAILS = "x-hmxmroriginalrecipient"
_HARMLESS = frozenset({"not-spam", "auth-failure", "miscategorized", "virus", "dmarc"})
_REPORTED = r"^this is an? (?:e-?mail )?abuse report\b"
_FEEDBACK_FIELD = r"^feedback-type: *[a-z-]+$"


@dataclass(frozen=True, slots=True)
class Notice:
    """What became of one recipient."""

    action: str
    status: str
    words: str
    recipients: tuple[str, ...]

    @property
    def has_failed(self) -> bool:
        return self.action.startswith("fail") or (self._is_vague and self.status[:1] == "5")

    @property
    def is_late(self) -> bool:
        return self.action.startswith("delay") or (self._is_vague and self.status[:1] == "4")

    @property
    def _is_vague(self) -> bool:
        return self.action not in {"failed", "delayed", "delivered", "relayed", "expanded"}


def notices_of(message: Message) -> list[Notice]:
    """Return what the outermost report says of each recipient."""
    found = list(_notices(message.text_of(*DELIVERY) or ""))
    return [each for each in found if each.status or each.recipients] or found


def is_report(message: Message) -> bool:
    """Tell whether the fields stand where a server puts them, not where a person attaches them."""
    return any(
        part.kind in DELIVERY and part.within == "multipart/report" for part in message.parts
    )


def _notices(text: str) -> Iterator[Notice]:
    for group in re.split(r"\n[ \t]*\n", text):
        fields = fields_of(group)
        if fields.keys() & {"action", "status", "final-recipient"}:
            yield Notice(
                action=first(fields, "action").lower().split(" ")[0].strip("\"'()"),
                status=_code(first(fields, "status")),
                words=_words(fields),
                recipients=tuple(
                    address
                    for name in ("final-recipient", "original-recipient", "x-actual-recipient")
                    for address in addresses_in(first(fields, name))
                ),
            )


@dataclass(frozen=True, slots=True)
class Complaint:
    is_about_mail: bool
    """Somebody does not want it; otherwise a filter or a signature was at fault."""
    recipients: tuple[str, ...]


def complaint_of(message: Message, told: str, returned: Fields) -> Complaint | None:
    """Return what a feedback report says, also where it is not quite in the format."""
    report = message.text_of(FEEDBACK)
    words = f"{_REPORTED}|{_FEEDBACK_FIELD}" if returned else _FEEDBACK_FIELD
    if (
        report is None
        and _HOTMAILS not in returned
        and not re.search(words, told, re.IGNORECASE | re.MULTILINE)
    ):
        return None
    fields = fields_of(told if report is None else report)
    kind = first(fields, "feedback-type").strip().lower()
    named = [*_all(fields, "original-rcpt-to"), *_all(fields, "removal-recipient")]
    named += _all(returned, _HOTMAILS)
    return Complaint(
        is_about_mail=kind not in _HARMLESS,
        recipients=tuple(named or _all(returned, "to")),
    )


def _code(value: str) -> str:
    found = re.search(r"(?<!\d)[245]\.\d{1,3}\.\d{1,3}", value)
    return found[0] if found else ""


def _words(fields: Fields) -> str:
    values = [*fields.get("diagnostic-code", []), *fields.get("x-supplementary-info", [])]
    return " ".join(re.sub(r"^[\w.+-]{1,40}\s?;", "", value).strip() for value in values)


def _all(fields: Fields, name: str) -> list[str]:
    return [address for value in fields.get(name, []) for address in addresses_in(value)]
