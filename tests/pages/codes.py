"""Reading QR codes as a phone does: from pixels, by another library than the one that draws."""

import io
import re

import zxingcpp
from PIL import Image, ImageDraw

SCALE = 4
SVG = re.compile(r'<svg class="qr" viewBox="0 0 (\d+) \1".*?fill="#000" d="([^"]+)"')
RUN = re.compile(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z")


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
    runs = RUN.findall(path)
    assert "".join(f"M{x} {y}h{h}v1h-{back}z" for x, y, h, back in runs) == path
    for x, y, length, _back in runs:
        left, top = int(x) * SCALE, int(y) * SCALE
        right = left + int(length) * SCALE
        draw.rectangle((left, top, right - 1, top + SCALE - 1), fill=0)
    return picture
