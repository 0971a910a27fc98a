"""Decode an image in a child process: a file that breaks the decoder breaks no page.

The child's answer is checked, whatever it is.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from belong_mail.core.translatable import gettext_noop
from belong_mail.newsletters.confinement import RefusedFile, ask_alone, read_answer

COMMAND: Final = (sys.executable, "-B", "-m", "belong_mail.newsletters.image_program")
# After which a child is killed; the largest picture takes two.
SECONDS: Final = 30.0
# Octets.
MAX_FILE: Final = 5_000_000
MAX_WIDTH, MAX_HEIGHT = 1200, 2400
MAGIC_BYTES: Final = ((b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"RIFF", "WEBP"))
TYPES: Final = {"image/png": MAGIC_BYTES[0][0], "image/jpeg": MAGIC_BYTES[1][0]}


REFUSALS: Final = {
    "large": gettext_noop("This picture is larger than 5 MB. Choose a smaller one."),
    "strange": gettext_noop("We can’t use this file. Upload a JPEG, PNG or WebP."),
    "damaged": gettext_noop("This picture is damaged. Save it again, or choose another one."),
    "many pixels": gettext_noop(
        "This picture has more than 25 million pixels. Make it smaller first."
    ),
    "many pixels to unpack": gettext_noop(
        "This picture has more than 9 million pixels. Make it smaller first, or save it as a"
        " regular JPEG."
    ),
    "busy": gettext_noop("We’re busy with other files. Try again in a minute."),
}


class InvalidImage(RefusedFile):
    refusals = REFUSALS


@dataclass(frozen=True, slots=True)
class EncodedImage:
    media_type: str
    content: bytes
    width: int
    height: int


def kind_of(file: bytes) -> str:
    """Name the kind of a file, or raise InvalidImage."""
    if len(file) > MAX_FILE:
        raise InvalidImage("large")
    kind = next((kind for magic, kind in MAGIC_BYTES if file.startswith(magic)), "")
    if not kind or (kind == "WEBP" and file[8:12] != b"WEBP"):
        raise InvalidImage("strange")
    return kind


def reencode_image(
    file: bytes, command: Sequence[str] = COMMAND, seconds: float = SECONDS
) -> EncodedImage:
    """Have a picture made anew from its pixels, or raise InvalidImage, whatever the file does."""
    kind_of(file)
    answer = ask_alone(file, command, seconds, InvalidImage)
    (kind, *sizes), content = read_answer(answer, InvalidImage, ("type", "width", "height"))
    encoded = EncodedImage(kind, content, *sizes)
    if not _is_sound(encoded):
        raise InvalidImage("damaged")
    return encoded


def _is_sound(encoded: EncodedImage) -> bool:
    """Tell whether a picture is of a kind that we mail, and of a size that we make."""
    sign = TYPES.get(encoded.media_type) if isinstance(encoded.media_type, str) else None
    sizes = ((encoded.width, MAX_WIDTH), (encoded.height, MAX_HEIGHT))
    return (
        sign is not None
        and encoded.content.startswith(sign)
        and len(encoded.content) <= MAX_FILE
        and all(isinstance(size, int) and 0 < size <= most for size, most in sizes)
    )
