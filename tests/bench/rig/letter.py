"""The one message of the bench: our own newsletter of about 12 KB, which every peer sends too."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.rig import product

# Paragraphs, which make some 12,288 octets on the wire.
NUMBER = 10
PARAGRAPHS = Path(__file__).with_suffix(".md").read_text().split("\n\n")


@dataclass(frozen=True, slots=True)
class Letter:
    """The issue as Markdown, and the message as a member gets it."""

    issue: Path
    # With the line ends of this machine, as smtp-source reads it.
    eml: Path
    octets: int


def write(folder: Path, make: Callable[[Path], bytes]) -> Letter:
    """Write an issue; `make` sends one and returns the message."""
    issue, eml = folder / "issue.md", folder / "message.eml"
    paragraphs = (PARAGRAPHS[each % len(PARAGRAPHS)] for each in range(NUMBER))
    issue.write_text("\n\n".join(["## What the spring brings", *paragraphs]))
    message = make(issue)
    eml.write_bytes(message.replace(b"\r\n", b"\n"))
    return Letter(issue, eml, len(message))


def sent_by(house: product.House) -> Callable[[Path], bytes]:
    """Return what makes a message: a worker that sends one member's copy into a mailbox."""

    def make(issue: Path) -> bytes:
        with product.copy(house, house.folder, "mailbox:") as here:
            here.queue(issue)
            here.tell("worker", "--drain")
            kept = sorted((here.state / "mailbox").iterdir())
            ours = [file.read_bytes().partition(b"\r\n") for file in kept]
        [message] = [message for to, _, message in ours if to.startswith(b"member-")]
        return message

    return make
