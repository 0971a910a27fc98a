"""A picture made anew from its pixels: of the file that somebody chose nothing else remains."""

import io
from dataclasses import dataclass
from threading import Lock
from typing import Final

from PIL import Image, ImageOps

from belong_mail.languages import marked

MAX_FILE: Final = 5_000_000
"""Octets."""
MAX_JPEG: Final = 25_000_000
"""Pixels: what phones take. A JPEG is made small while it is read."""
MAX_OTHER: Final = 9_000_000
"""Pixels of all else, which is unpacked whole: of a WebP each takes 16 octets meanwhile."""
MAX_WIDTH, MAX_HEIGHT = 1200, 2400
MAX_EXACT: Final = 400_000
"""Octets of a PNG; above it the picture becomes a JPEG, on white where one could see through."""
QUALITY: Final = 82
OPAQUE: Final = 255
TURNED: Final = 5
"""EXIF orientations from here on lie on their side."""
SIGNS: Final = ((b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"RIFF", "WEBP"))
Image.MAX_IMAGE_PIXELS = None  # `_open` has a limit of its own, which is an error at once
_one_at_a_time = Lock()


class PictureRefused(ValueError):
    """Says in a reader's words, to be translated, why a file is not taken."""


@dataclass(frozen=True, slots=True)
class Encoded:
    media_type: str
    content: bytes
    width: int
    height: int


def encode(file: bytes) -> Encoded:
    """Make a JPEG or PNG of at most 1200 by 2400 pixels, upright and without metadata.

    Of a moving picture the first one is kept. Raises PictureRefused, whatever a bent file leads
    Pillow to raise.
    """
    if len(file) > MAX_FILE:
        raise PictureRefused(marked("This picture is larger than 5 MB. Choose a smaller one."))
    kind = next((kind for sign, kind in SIGNS if file.startswith(sign)), "")
    if not kind or (kind == "WEBP" and file[8:12] != b"WEBP"):
        raise PictureRefused(marked("This is no picture that we can take: use JPEG, PNG or WebP."))
    try:
        with _one_at_a_time, _open(file, kind) as image:
            return _written(_pixels(image), kind)
    except PictureRefused:
        raise
    except Exception as error:
        words = marked("This picture is damaged. Save it again, or choose another.")
        raise PictureRefused(words) from error


def _open(file: bytes, kind: str) -> Image.Image:
    image = Image.open(io.BytesIO(file), formats=[kind])
    pixels = image.width * image.height
    is_photograph = kind == "JPEG" and image.mode in {"RGB", "L"}
    if pixels <= (MAX_JPEG if is_photograph else MAX_OTHER):
        return image
    image.close()
    if is_photograph:
        raise PictureRefused(
            marked("This picture has more than 25 million pixels. Make it smaller first.")
        )
    raise PictureRefused(
        marked(
            "This picture has more than 9 million pixels. Make it smaller first, or save it as an"
            " ordinary JPEG."
        )
    )


def _pixels(image: Image.Image) -> Image.Image:
    """Return the pixels alone, upright and small enough, as RGB or RGBA."""
    orientation = image.getexif().get(0x0112, 1)
    is_turned = isinstance(orientation, int) and orientation >= TURNED
    width, height = (MAX_HEIGHT, MAX_WIDTH) if is_turned else (MAX_WIDTH, MAX_HEIGHT)
    shrunk = min(1.0, width / image.width, height / image.height)
    image.draft(None, (int(image.width * shrunk), int(image.height * shrunk)))
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256).convert("L")
    elif image.mode != "RGBA" and image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode not in {"RGB", "RGBA", "L", "CMYK"}:
        image = image.convert("RGB")
    image.thumbnail((width, height), reducing_gap=2.0)
    upright = ImageOps.exif_transpose(image)
    mode = "RGBA" if upright.mode == "RGBA" else "RGB"
    bare = Image.new(mode, upright.size)
    bare.paste(upright.convert(mode))
    return bare


def _written(image: Image.Image, kind: str) -> Encoded:
    """Write a JPEG, or a PNG where that is small and sharper, or can be seen through."""
    is_clear = image.mode == "RGBA" and any(image.getchannel("A").histogram()[:OPAQUE])
    as_png = b"" if kind == "JPEG" else _save(image, "PNG")
    if image.mode == "RGBA":
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        image = white
    as_jpeg = _save(image, "JPEG")
    if as_png and len(as_png) <= (MAX_EXACT if is_clear else min(MAX_EXACT, len(as_jpeg))):
        return Encoded("image/png", as_png, *image.size)
    return Encoded("image/jpeg", as_jpeg, *image.size)


def _save(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, optimize=True, quality=QUALITY)
    return file.getvalue()
