"""Files as people choose them, and as nobody should; and adding one, as a leader does."""

import io

from PIL import Image

from belong_mail.newsletters.confinement import RefusedFile

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><rect width="9"/></svg>'
HTML = b"<!doctype html><script>alert(1)</script>"
GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"


def file(image: Image.Image, kind: str, **options) -> bytes:
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def picture(width: int = 40, height: int = 30, color: str = "teal") -> bytes:
    return file(Image.new("RGB", (width, height), color), "PNG")


def photograph() -> bytes:
    """A JPEG that lies on its side and says where it was taken, by whom, with which profile."""
    image = Image.new("RGB", (60, 40), "white")
    image.paste("red", (0, 0, 60, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x013B] = "Ada of Denver"
    exif.get_ifd(0x8825).update({1: "N", 2: (39.0, 44.0, 21.0), 3: "W", 4: (104.0, 59.0, 5.0)})
    return file(image, "JPEG", exif=exif, comment=b"Ada", quality=95, icc_profile=b"Ada" * 99)


def add(lead, page: str, content: bytes, says: str = "Tea", name: str = "tea.png"):
    return lead.send(f"{page}/pictures", picture=(io.BytesIO(content), name), description=says)


def outcome(make, content: bytes, *command):
    """Return what is made of a file, or in a word why it is refused."""
    try:
        return make(content, *command)
    except RefusedFile as refusal:
        return refusal.reason


def code_of(lead, page: str) -> str:
    return lead.open(page).text.partition("<code>")[2].partition("</code>")[0]


def attach(lead, page: str, content: bytes, title: str = "Tea on Friday", name: str = "ada.pdf"):
    return lead.send(f"{page}/flyers", flyer=(io.BytesIO(content), name), title=title)
