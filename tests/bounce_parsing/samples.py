"""Messages written by us in the formats of many servers, each with what it means."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from belong_mail.mail.bounces.parser import Report

FOLDER: Final = Path(__file__).parent / "samples"


@dataclass(frozen=True, slots=True)
class Sample:
    """A message, and what `=== name | kind permanence suppress status | recipients` expects."""

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


def _samples(file: Path) -> list[Sample]:
    found = []
    for text in file.read_text(encoding="utf-8").removeprefix("=== ").split("\n=== "):
        title, _, message = text.partition("\n")
        name, expected, recipients = (field.strip() for field in title.split("|"))
        addresses = tuple(filter(None, recipients.split(", ")))
        data = message.encode()
        found.append(Sample(f"{file.stem}: {name}", tuple(expected.split()), addresses, data))
    return found


SAMPLES: Final = [sample for file in sorted(FOLDER.glob("*.txt")) for sample in _samples(file)]
