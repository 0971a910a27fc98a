"""Have a flyer (PDF) read and made anew by a child process, and check its answer.

The child is `flyer_program`; no other process parses a PDF.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from belong_mail.core.translatable import gettext_noop
from belong_mail.newsletters.confinement import RefusedFile, ask_alone, read_answer

COMMAND: Final = (sys.executable, "-B", "-m", "belong_mail.newsletters.flyer_program")
# After which a child is killed.
SECONDS: Final = 30.0
# Octets, of what is uploaded and of what is kept; all flyers of an issue have no more together.
MAX_FILE: Final = 5_000_000
MAX_PAGES: Final = 20
SIGN: Final = b"%PDF-"
# Octets in which a file's sign must come, as readers have it.
SIGN_WITHIN: Final = 1024


REFUSALS: Final = {
    "large": gettext_noop(
        "The flyers of a newsletter can total 5 MB. Save this PDF smaller, or remove another flyer."
    ),
    "strange": gettext_noop("This file isn’t a PDF. Save or export your flyer as a PDF."),
    "damaged": gettext_noop("This PDF is damaged. Save or export it again."),
    "locked": gettext_noop(
        "This PDF is protected by a password or against changes. Save it without protection."
    ),
    "acts": gettext_noop(
        "This PDF can do things by itself, such as run a script, play media or send a form. Use"
        " “Print” and “Save as PDF” to make a plain copy, and upload that."
    ),
    "carries": gettext_noop(
        "This PDF has other files inside. Use “Print” and “Save as PDF” to make a plain copy, and"
        " upload that."
    ),
    "comments": gettext_noop(
        "This PDF has comments, added text boxes or form fields, which wouldn’t be sent. Use"
        " “Print” and “Save as PDF” to make a plain copy, and upload that."
    ),
    "pages": gettext_noop("A flyer can have up to 20 pages."),
    "heavy": gettext_noop(
        "This PDF unpacks to more than many phones can open. Save it with smaller pictures."
    ),
    "busy": gettext_noop("We’re busy with other files. Try again in a minute."),
}


class InvalidFlyer(RefusedFile):
    refusals = REFUSALS


@dataclass(frozen=True, slots=True)
class CleanFlyer:
    """A PDF as we wrote it."""

    content: bytes
    pages: int
    # Whether its text has an order and a structure that screen readers follow.
    is_tagged: bool


def require_pdf(file: bytes) -> None:
    """Raise InvalidFlyer for what is too large, or begins as no PDF does."""
    if len(file) > MAX_FILE:
        raise InvalidFlyer("large")
    if SIGN not in file[:SIGN_WITHIN]:
        raise InvalidFlyer("strange")


def read_flyer(
    file: bytes, command: Sequence[str] = COMMAND, seconds: float = SECONDS
) -> CleanFlyer:
    """Have a PDF made anew from what its pages show, or raise InvalidFlyer, whatever it does."""
    require_pdf(file)
    answer = ask_alone(file, command, seconds, InvalidFlyer)
    said, content = read_answer(answer, InvalidFlyer, ("pages", "is_tagged"))
    clean = CleanFlyer(content, *said)
    if not _is_sound(clean):
        raise InvalidFlyer("damaged")
    return clean


def _is_sound(clean: CleanFlyer) -> bool:
    return (
        clean.content.startswith(SIGN)
        and len(clean.content) <= MAX_FILE
        and isinstance(clean.is_tagged, bool)
        and isinstance(clean.pages, int)
        and 0 < clean.pages <= MAX_PAGES
    )
