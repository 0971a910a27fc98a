"""Flyers as files of a message, and their names there."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from belong_mail.mail.message.mime import AttachedFile
from belong_mail.newsletters.models import Flyer

# The name for a title without a letter that every system knows.
NAMELESS: Final = "flyer"
# Octets that a part has besides its content, at most.
HEAD: Final = 1500
NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9]+")
# Characters that some system forbids in a file's name.
NOT_SPELLED: Final = re.compile(r'[\\/:*?"<>|\s]+')


def octets(flyer: Flyer) -> int:
    """Count what a flyer takes in a message: in base64, on lines of 76 (RFC 2045 6.8)."""
    return flyer.size * 78 // 57 + HEAD


def file_name(title: str) -> str:
    """Name a flyer's file after its title, in letters, digits and hyphens alone."""
    parts = unicodedata.normalize("NFKD", title)
    bare = "".join(each for each in parts if not unicodedata.combining(each))
    return NOT_IN_NAMES.sub("-", bare).strip("-") or NAMELESS


def attached(flyers: Sequence[Flyer]) -> list[AttachedFile]:
    """Return flyers as files of a message; the later of two with one name has a number."""
    files, used = list[AttachedFile](), dict[str, int]()
    for flyer in flyers:
        name = file_name(flyer.title)
        used[name.lower()] = number = used.get(name.lower(), 0) + 1
        again = f"-{number}" if number > 1 else ""
        spelled = NOT_SPELLED.sub(" ", flyer.title).strip(" .") or name
        files.append(
            AttachedFile(
                f"{name}{again}.pdf", f"{spelled}{again}.pdf", "application/pdf", flyer.content
            )
        )
    return files
