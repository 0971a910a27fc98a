"""Messages written by us in the formats of many servers, each with what it means; all are files.

`samples/` holds whole messages below `=== name | kind permanence suppress status | recipients`, and
after another bar the charset that one is written in. `diagnostics/` has a report a line:
`name | meaning | status | what the server said`. Statuses and recipients that matter are told.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from belong_mail.mail.bounces.parser import Report

FOLDER: Final = Path(__file__).parent
RETURN_PATH: Final = "b+mfrggzdfmztwq2lk@belong.example.org"
MEANINGS: Final = {
    "GONE": ("bounce", "permanent", "suppress"),
    "FINAL": ("bounce", "permanent", "keep"),
    "PASSING": ("bounce", "temporary", "keep"),
    "LATE": ("delayed", "temporary", "keep"),
}
_REPORT: Final = """\
From: MAILER-DAEMON@mx.example.org (Mail Delivery System)
To: {to}
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain; charset=utf-8

This is the mail system. Your message came to no good end.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; ada@example.org
Action: failed
Status: {status}
Diagnostic-Code: {words}

--b
Content-Type: text/rfc822-headers

Return-Path: <{to}>
From: belong@example.org
Subject: News for July

--b--
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """A message, and the beginning of what `said` says of its report."""

    name: str
    expected: tuple[str, ...]
    recipients: tuple[str, ...]
    data: bytes

    def __str__(self) -> str:
        return self.name


def said(report: Report) -> tuple[str, ...]:
    """Spell a report as the samples' first lines do."""
    return (
        report.kind,
        report.permanence or "-",
        "suppress" if report.suppress else "keep",
        report.status or "-",
    )


def _messages(file: Path) -> list[Sample]:
    found = []
    for text in file.read_text(encoding="utf-8").removeprefix("=== ").split("\n=== "):
        title, _, message = text.partition("\n")
        name, expected, recipients, *charset = (field.strip() for field in title.split("|"))
        addresses = tuple(filter(None, recipients.split(", ")))
        data = message.encode(*charset)
        found.append(Sample(f"{file.stem}: {name}", tuple(expected.split()), addresses, data))
    return found


def _reports(file: Path) -> list[Sample]:
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        name, meaning, status, *words = (field.strip() for field in line.split("|", 3))
        text = _REPORT.format(to=RETURN_PATH, status=status.removeprefix("-"), words="".join(words))
        data = text.replace("Status: \n", "").replace("Diagnostic-Code: \n", "").encode()
        found.append(Sample(f"{file.stem}: {name}", MEANINGS[meaning], (), data))
    return found


SAMPLES: Final = [
    *(each for file in sorted(FOLDER.glob("samples/*.txt")) for each in _messages(file)),
    *(each for file in sorted(FOLDER.glob("diagnostics/*.txt")) for each in _reports(file)),
]
