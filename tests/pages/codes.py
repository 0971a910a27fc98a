"""Reading QR codes as a phone does: from pixels, by another library than the one that draws."""

import io
import re

import zxingcpp
from PIL import Image, ImageDraw

SCALE = 4
SVG = re.compile(r'<svg [^>]*viewBox="0 0 (\d+) \1" class="qr">.*?stroke="#000" d="([^"]+)"')
# A row of dark modules, by its distance from the end of the one before.
RUN = re.compile(r"[Mm](-?\d+) (\d+)(?:\.5)?h(\d+)")


def drawn_in(page: str) -> list[Image.Image]:
    """Paint each QR code of a page's HTML, dark on white."""
    return [painted(int(size), path) for size, path in SVG.findall(page)]


def read(picture: Image.Image) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(picture.convert("L"))]


def read_png(png: bytes) -> list[str]:
    return read(Image.open(io.BytesIO(png)))


def painted(size: int, path: str) -> Image.Image:
    picture = Image.new("L", (size * SCALE, size * SCALE), 255)
    draw = ImageDraw.Draw(picture)
    assert RUN.sub("", path) == ""
    x = y = 0
    for right, down, length in RUN.findall(path):
        x, y = x + int(right), y + int(down)
        left, top, x = x * SCALE, y * SCALE, x + int(length)
        draw.rectangle((left, top, x * SCALE - 1, top + SCALE - 1), fill=0)
    return picture
