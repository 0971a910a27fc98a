"""Messages (RFC 5322, MIME), built once for many recipients and checked before they are used."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import BytesParser
from email.utils import format_datetime
from itertools import zip_longest
from typing import Final

from belong_mail.mail import header
from belong_mail.mail.header import HeaderRefused, MessageRefused, mailbox
from belong_mail.mail.related import Picture, leaf
from belong_mail.mail.wire import BodySlot, HeaderSlot, Stencil, Wire, quote, slot, split

__all__ = [
    "Envelope", "HeaderRefused", "MessageRefused", "Picture", "Stencil", "Wire",
    "clean", "compose", "date_header", "mailbox", "slot", "verify",
]  # fmt: skip

_NOT_TEXT = re.compile("[\ue000-\ue1ff\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SOFT_BREAK: Final = b"=\r\n"
_BOUNDARY = re.compile(r"[A-Za-z0-9_-]{1,60}")


@dataclass(slots=True)
class Envelope:
    """Return path, recipient (RFC 5321) and the finished bytes of a message."""

    return_path: str
    recipient: str
    message: bytes
    is_verified: bool = False
    """Each piece of the message was checked when it was made."""


def clean(text: str) -> str:
    r"""Return a person's text without slot markers and without controls other than \n and \t."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", _NOT_TEXT.sub("", text))


def date_header(at: datetime) -> str:
    """Return the value of Date, in UTC."""
    if at.tzinfo is None:
        raise ValueError("A time needs its zone.")
    return format_datetime(at.astimezone(UTC))


def compose(
    headers: Sequence[tuple[str, str]],
    text: str,
    html: str,
    *,
    boundary: str,
    pictures: Sequence[Picture] = (),
) -> Wire:
    """Build multipart/alternative (RFC 2046 5.1.4) with open slots; one sample of it is verified.

    Pictures stand around the HTML in multipart/related (RFC 2387). MIME-Version and Content-Type
    are added at the end of the headers.
    """
    header.check_names(name for name, _ in headers)
    if not _BOUNDARY.fullmatch(boundary) or not text.strip() or not html.strip():
        raise MessageRefused("A message needs words in both parts, and a plain boundary.")
    ours = f"=_{boundary}"
    wire = Wire.of([
        *(_header(name, value) for name, value in headers),
        b"MIME-Version: 1.0\r\n",
        f'Content-Type: multipart/alternative; boundary="{ours}"\r\n'.encode(),
        _opening(ours, "plain"),
        *_body(text, is_html=False),
        *_html(html, ours, boundary, pictures),
        f"\r\n--{ours}--\r\n".encode(),
    ])  # fmt: skip
    names = [*(name for name, _ in headers), "MIME-Version", "Content-Type"]
    sample = dict.fromkeys(wire.slots, "sample@example.org")
    filled = wire.fill(sample)
    verify(filled, names)
    _compare(filled, (_expected(text, sample), _expected(html, sample)), pictures)
    return wire


def verify(message: bytes, intended: Sequence[str]) -> None:
    """Parse the finished bytes and raise HeaderRefused unless their headers are the intended ones.

    Also raises MessageRefused for what RFC 5322 2.1.1 and 2.3 forbid on any line, for 8-bit
    octets, and for a line that begins with a dot.
    """
    lines = message.split(b"\r\n")
    if any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines) or lines[-1]:
        raise MessageRefused("A line does not end as it must.")
    if max(map(len, lines)) > header.MAX_LINE or not message.isascii():
        raise MessageRefused("A line is too long or not ASCII.")
    if any(line.startswith(b".") for line in lines):
        raise MessageRefused("A line begins with a dot.")
    found = BytesParser().parsebytes(message, headersonly=True).keys()
    for name, meant in zip_longest(found, intended, fillvalue=""):
        if name != meant:
            raise HeaderRefused(meant or "at the end", "the finished bytes hold another header")


def _header(name: str, value: str) -> bytes | HeaderSlot:
    parts = split(value)
    return header.line(name, value) if len(parts) == 1 else HeaderSlot(name, parts)


def _opening(boundary: str, kind: str) -> bytes:
    return (
        f"\r\n--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode()


def _html(
    html: str, ours: str, boundary: str, pictures: Sequence[Picture]
) -> Iterator[bytes | BodySlot]:
    if not pictures:
        yield _opening(ours, "html")
        yield from _body(html, is_html=True)
        return
    inner = f"=r_{boundary}"
    kind = f'multipart/related; type="text/html"; boundary="{inner}"'
    yield f"\r\n--{ours}\r\nContent-Type: {kind}\r\n".encode()
    yield _opening(inner, "html")
    yield from _body(html, is_html=True)
    for picture in pictures:
        yield f"\r\n--{inner}\r\n".encode() + leaf(picture)
    yield f"\r\n--{inner}--\r\n".encode()


def _body(source: str, *, is_html: bool) -> Iterator[bytes | BodySlot]:
    """Cut where slots are; soft line breaks stand around each, unless a line ends there anyway."""
    parts = split(source.replace("\r\n", "\n"))
    last = len(parts) - 1
    for index, part in enumerate(parts):
        if index % 2:
            yield BodySlot(part, is_html)
            continue
        is_at_end = index == last
        if index and not part.startswith("\n") and not (is_at_end and not part):
            yield _SOFT_BREAK
        yield quote(part)
        if part and not is_at_end and not part.endswith("\n"):
            yield _SOFT_BREAK


def _expected(source: str, sample: Mapping[str, str]) -> str:
    parts = split(source.replace("\r\n", "\n"))
    return "".join(sample[part] if index % 2 else part for index, part in enumerate(parts))


def _compare(message: bytes, words: tuple[str, str], pictures: Sequence[Picture]) -> None:
    parts = [part for part in BytesParser().parsebytes(message).walk() if not part.is_multipart()]
    decoded = [bytes(part.get_payload(decode=True)) for part in parts]
    halves = [half.replace(b"\r\n", b"\n") for half in decoded[:2]]
    written = [half.encode("utf-8", "replace") for half in words]
    if halves != written or decoded[2:] != [picture.content for picture in pictures]:
        raise MessageRefused("The finished bytes do not say what was written.")
