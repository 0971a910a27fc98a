"""Messages written by us in the formats of many servers, each with what it means; all are files.

`samples/` holds whole messages below `=== name | kind permanence suppress status | recipients`, and
after another bar the charset that one is written in. `diagnostics/` has a report a line:
`name | meaning | status | what the server said`. Statuses and recipients that matter are told.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from belong_mail.mail.bounces.parser import Report
from tests.inbound.mail import SERVER, report

FOLDER: Final = Path(__file__).parent
RETURN_PATH: Final = "b+mfrggzdfmztwq2lk@belong.example.org"
MEANINGS: Final = {
    "GONE": ("bounce", "permanent", "suppress"),
    "FINAL": ("bounce", "permanent", "keep"),
    "PASSING": ("bounce", "temporary", "keep"),
    "LATE": ("delayed", "temporary", "keep"),
}


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
        told = {"Status": status.removeprefix("-"), "Diagnostic-Code": "".join(words)}
        fields = {name: value for name, value in told.items() if value}
        failure = {"Final-Recipient": "rfc822; ada@example.org", "Action": "failed", **fields}
        data = report(RETURN_PATH, "delivery-status", SERVER, failure).replace(b"\r\n", b"\n")
        found.append(Sample(f"{file.stem}: {name}", MEANINGS[meaning], (), data))
    return found


SAMPLES: Final = [
    *(each for file in sorted(FOLDER.glob("samples/*.txt")) for each in _messages(file)),
    *(each for file in sorted(FOLDER.glob("diagnostics/*.txt")) for each in _reports(file)),
]
