"""Compose MIME messages (RFC 5322, 2045) with images (RFC 2387) and attachments (RFC 2183)."""

import re
from abc import ABC, abstractmethod
from base64 import encodebytes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesParser
from email.utils import format_datetime
from itertools import zip_longest
from typing import Final, final

from belong_mail.mail.message import headers as header
from belong_mail.mail.message.headers import InvalidHeader, InvalidMessage
from belong_mail.mail.message.template import (
    BodySlot,
    FastTemplate,
    HeaderSlot,
    MessageTemplate,
    quote,
    split,
)

_NOT_TEXT = re.compile("[\ue000-\ue1ff\x00-\x08\x0b-\x1f\x7f-\x9f]")
SURROGATE = re.compile("[\ud800-\udfff]")
_SOFT_BREAK: Final = b"=\r\n"
_BOUNDARY = re.compile(r"[A-Za-z0-9_-]{1,60}")


class GatedMessage(ABC):
    """A message that has passed its gate, which every subclass has to name."""

    def __init__(self, template: MessageTemplate, ours: Mapping[str, str] | None = None) -> None:
        """Ask the gate. With `ours`, samples for `FastTemplate`, many copies share a long end."""
        self.require_fit()
        start, end = (template, b"") if ours is None else template.without_end()
        self.template: Final = template
        self.fill: Final = start.fill if ours is None else FastTemplate(start, ours).fill
        self.end: Final = end
        self.is_verified: Final = ours is not None

    @abstractmethod
    def require_fit(self) -> None:
        """Raise an error if the message must not be sent."""


@final
class Copy:
    """One person's copy of a message: delivery takes nothing else, and only a gate gives one.

    Return path and recipient are those of its envelope (RFC 5321).
    """

    __slots__ = ("end", "is_verified", "message", "recipient", "return_path", "size")

    def __init__(
        self, message: GatedMessage, return_path: str, to: str, values: Mapping[str, str]
    ) -> None:
        self.return_path: Final = return_path
        self.recipient: Final = to
        self.message: Final = message.fill(values)
        # Whether all but the recipient is checked already.
        self.is_verified: Final = message.is_verified
        # Bytes that follow `message` and are shared by all copies of an issue; only if verified.
        self.end: Final = message.end
        self.size: Final = len(self.message) + len(self.end)


def clean_text(text: str) -> str:
    r"""Remove slot markers, and control characters other than \n and \t, from a text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return SURROGATE.sub("\ufffd", _NOT_TEXT.sub("", text))


def date_header(at: datetime) -> str:
    """Return the value of Date, in UTC."""
    if at.tzinfo is None:
        raise ValueError("A time needs its zone.")
    return format_datetime(at.astimezone(UTC))


@dataclass(frozen=True, slots=True)
class InlineFile:
    """An image that the HTML refers to as "cid:" with its `cid`."""

    cid: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """An attachment (RFC 2183)."""

    # Letters, digits and hyphens.
    name: str
    media_type: str
    content: bytes = field(repr=False)


def compose(
    headers: Sequence[tuple[str, str]],
    text: str,
    html: str,
    *,
    boundary: str,
    pictures: Sequence[InlineFile] = (),
    files: Sequence[AttachedFile] = (),
) -> MessageTemplate:
    """Build a multipart/alternative (RFC 2046 5.1.4) with slots, and verify a sample of it.

    Images make the HTML part a multipart/related (RFC 2387); attachments make the whole a
    multipart/mixed. MIME-Version and Content-Type are added after the headers.
    """
    header.check_names(name for name, _ in headers)
    if not _BOUNDARY.fullmatch(boundary) or not text.strip() or not html.strip():
        raise InvalidMessage("A message needs words in both parts, and a plain boundary.")
    ours, outer = f"=_{boundary}", f"=m_{boundary}"
    alternative = f'Content-Type: multipart/alternative; boundary="{ours}"\r\n'.encode()
    mixed = f'Content-Type: multipart/mixed; boundary="{outer}"\r\n\r\n--{outer}\r\n'.encode()
    wire = MessageTemplate.of([
        *(_build_header(name, value) for name, value in headers),
        b"MIME-Version: 1.0\r\n",
        *([mixed] if files else []),
        alternative,
        _top_headers(ours, "plain"),
        *_build_body(text, is_html=False),
        *_html_part(html, ours, boundary, pictures),
        f"\r\n--{ours}--\r\n".encode(),
        *(f"\r\n--{outer}\r\n".encode() + attached_part(file) for file in files),
        *([f"\r\n--{outer}--\r\n".encode()] if files else []),
    ])  # fmt: skip
    names = [*(name for name, _ in headers), "MIME-Version", "Content-Type"]
    sample = dict.fromkeys(wire.slots, "sample@example.org")
    filled = wire.fill(sample)
    verify(filled, names)
    _compare(filled, (_expected(text, sample), _expected(html, sample)), [*pictures, *files])
    return wire


def verify(message: bytes, intended: Sequence[str]) -> None:
    """Raise InvalidHeader unless the finished bytes have exactly the intended headers.

    Raises InvalidMessage for line ends and lengths that RFC 5322 2.1.1 and 2.3 forbid, for 8-bit
    bytes, and for lines that begin with a dot.
    """
    lines = message.split(b"\r\n")
    if any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines) or lines[-1]:
        raise InvalidMessage("A line does not end as it must.")
    if max(map(len, lines)) > header.MAX_LINE or not message.isascii():
        raise InvalidMessage("A line is too long or not ASCII.")
    if any(line.startswith(b".") for line in lines):
        raise InvalidMessage("A line begins with a dot.")
    found = BytesParser().parsebytes(message, headersonly=True).keys()
    for name, meant in zip_longest(found, intended, fillvalue=""):
        if name != meant:
            raise InvalidHeader(meant or "at the end", "the finished bytes hold another header")


def _build_header(name: str, value: str) -> bytes | HeaderSlot:
    parts = split(value)
    return header.format_header(name, value) if len(parts) == 1 else HeaderSlot(name, parts)


def _top_headers(boundary: str, kind: str) -> bytes:
    return (
        f"\r\n--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode()


def _html_part(
    html: str, ours: str, boundary: str, pictures: Sequence[InlineFile]
) -> Iterator[bytes | BodySlot]:
    if not pictures:
        yield _top_headers(ours, "html")
        yield from _build_body(html, is_html=True)
        return
    inner = f"=r_{boundary}"
    kind = f'multipart/related; type="text/html"; boundary="{inner}"'
    yield f"\r\n--{ours}\r\nContent-Type: {kind}\r\n".encode()
    yield _top_headers(inner, "html")
    yield from _build_body(html, is_html=True)
    for picture in pictures:
        yield f"\r\n--{inner}\r\n".encode() + inline_part(picture)
    yield f"\r\n--{inner}--\r\n".encode()


def _build_body(source: str, *, is_html: bool) -> Iterator[bytes | BodySlot]:
    """Encode a body between its slots; each slot gets lines of its own by soft line breaks."""
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


def _compare(
    message: bytes, words: tuple[str, str], files: Sequence[InlineFile | AttachedFile]
) -> None:
    parts = [part for part in BytesParser().parsebytes(message).walk() if not part.is_multipart()]
    decoded = [bytes(part.get_payload(decode=True)) for part in parts]
    halves = [half.replace(b"\r\n", b"\n") for half in decoded[:2]]
    written = [half.encode("utf-8", "replace") for half in words]
    if halves != written or decoded[2:] != [file.content for file in files]:
        raise InvalidMessage("The finished bytes do not say what was written.")


_FILES: Final = {"image/jpeg": "picture.jpg", "image/png": "picture.png"}
_ATTACHED: Final = frozenset(("application/pdf",))
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,120}\.[a-z]{1,5}")
_CID = re.compile(r"[A-Za-z0-9_-]{1,60}@[a-z0-9.-]{1,100}")


def inline_part(picture: InlineFile) -> bytes:
    """Return an image's part: headers and base64. Raises InvalidMessage."""
    if picture.media_type not in _FILES or not _CID.fullmatch(picture.cid) or not picture.content:
        raise InvalidMessage("A picture is a JPEG or PNG with a plain name.")
    way = f"Content-ID: <{picture.cid}>\r\nContent-Disposition: inline"
    return _file_part(picture, _FILES[picture.media_type], way)


def attached_part(file: AttachedFile) -> bytes:
    """Return an attachment's part: headers and base64. Raises InvalidMessage."""
    if file.media_type not in _ATTACHED or not _NAME.fullmatch(file.name) or not file.content:
        raise InvalidMessage("An attached file is a PDF with a plain name.")
    return _file_part(file, file.name, "Content-Disposition: attachment")


def _file_part(file: InlineFile | AttachedFile, name: str, way: str) -> bytes:
    head = (
        f'Content-Type: {file.media_type};\r\n name="{name}"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        f'{way};\r\n filename="{name}"\r\n\r\n'
    )
    return head.encode() + encodebytes(file.content).rstrip().replace(b"\n", b"\r\n")
