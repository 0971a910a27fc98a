"""Re-encode an image from its pixels; nothing else of the file remains.

`confinement` runs it as a child process; pictures are decoded nowhere else.
"""

import io
from typing import Final

from PIL import (
    Image,
    ImageOps,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from belong_mail.newsletters.confinement import (
    MAX_HEIGHT,
    MAX_WIDTH,
    EncodedImage,
    InvalidImage,
    answer,
    kind_of,
)

# Most pixels of a JPEG, as of phones' photographs; it is scaled down while it is read.
MAX_JPEG: Final = 25_000_000
# Most pixels of other formats, which are decoded whole: a WebP takes 16 bytes a pixel.
MAX_OTHER: Final = 9_000_000
# Bytes of a PNG; a larger picture becomes a JPEG, on white where it was transparent.
MAX_EXACT: Final = 400_000
QUALITY: Final = 82
OPAQUE: Final = 255
# EXIF orientations from here on are turned sideways.
TURNED: Final = 5


# Pillow's plugins, which it would import on demand, when the child can open no file.
LOADED: Final = (
    JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin,
)  # fmt: skip
Image.preinit()
Image.MAX_IMAGE_PIXELS = None  # `_open` has a limit of its own, which raises at once


def encode(file: bytes) -> EncodedImage:
    """Return a JPEG or PNG of at most 1200 by 2400 pixels, upright and without metadata.

    A moving picture becomes its first frame. Raises InvalidImage, whatever a malformed file makes
    Pillow raise.
    """
    kind = kind_of(file)
    try:
        with _open(file, kind) as image:
            return _written(_pixels(image), kind)
    except InvalidImage:
        raise
    except Exception as error:
        raise InvalidImage("damaged") from error


def _open(file: bytes, kind: str) -> Image.Image:
    image = Image.open(io.BytesIO(file), formats=[kind])
    pixels = image.width * image.height
    is_photograph = kind == "JPEG" and image.mode in {"RGB", "L"}
    if pixels <= (MAX_JPEG if is_photograph else MAX_OTHER):
        return image
    image.close()
    raise InvalidImage("many pixels" if is_photograph else "many pixels to unpack")


def _pixels(image: Image.Image) -> Image.Image:
    """Return only the pixels, upright and small enough, as RGB or RGBA."""
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


def _written(image: Image.Image, kind: str) -> EncodedImage:
    """Encode as JPEG, or as PNG if that is small and sharper, or transparent."""
    is_clear = image.mode == "RGBA" and any(image.getchannel("A").histogram()[:OPAQUE])
    as_png = b"" if kind == "JPEG" else _save(image, "PNG")
    if image.mode == "RGBA":
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image)
        image = white
    as_jpeg = _save(image, "JPEG")
    if as_png and len(as_png) <= (MAX_EXACT if is_clear else min(MAX_EXACT, len(as_jpeg))):
        return EncodedImage("image/png", as_png, *image.size)
    return EncodedImage("image/jpeg", as_jpeg, *image.size)


def _save(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, optimize=True, quality=QUALITY)
    return file.getvalue()


if __name__ == "__main__":
    answer(encode)
