"""A message cut at its slots: fixed parts are encoded once, each copy is a concatenation."""

import html as markup
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from belong_mail.mail.message import headers
from belong_mail.mail.message.headers import InvalidMessage

_OPEN, _CLOSE, _FIRST = "\ue000", "\ue001", 0xE100
_SLOT = re.compile("\ue000([\ue120-\ue17e]+)\ue001")
_SLOT_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PIECE = re.compile(r".{1,73}(?<!=)(?<!=.)")
_NOT_QUOTABLE = re.compile(r"[^ -<>-~\t]+")
# Needs neither quoted-printable nor HTML escapes, at the start of a line and before its end.
_AS_IS = re.compile(r"(?!\.|From )[ !#-%(-;?-~]{0,72}[!#-%(-;?-~]")
_NEVER = "(?!)"
# Bytes from which on a shared end is not joined to each copy.
LONG_END = 100_000


def slot(name: str) -> str:
    """Return the marker of a slot, where each recipient has a value of their own."""
    if not _SLOT_NAME.fullmatch(name):
        raise ValueError("A slot's name is a lower-case identifier.")
    return _OPEN + "".join(chr(_FIRST + ord(character)) for character in name) + _CLOSE


def split(source: str) -> tuple[str, ...]:
    """Return fixed text and slots' names in turn; the first and the last are fixed text."""
    found = _SLOT.split(source)
    found[1::2] = ["".join(chr(ord(mark) - _FIRST) for mark in name) for name in found[1::2]]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class BodySlot:
    """A value on quoted-printable lines of its own, so that any value fits."""

    name: str
    is_html: bool

    def fill(self, values: Mapping[str, str]) -> bytes:
        value = values[self.name]
        if _AS_IS.fullmatch(value):
            return value.encode("ascii")
        return _quote_once(markup.escape(value) if self.is_html else value)

    def plain(self) -> tuple[bytes, str, str, bytes]:
        """Return (bytes before, slot's name, pattern of plain values, bytes after)."""
        return b"", self.name, _AS_IS.pattern, b""


@dataclass(frozen=True, slots=True)
class HeaderSlot:
    """A header line with slots; it is checked and encoded as a whole."""

    name: str
    # Fixed text and slots' names in turn.
    parts: tuple[str, ...]

    def fill(self, values: Mapping[str, str]) -> bytes:
        before, name, after, *others = self.parts
        if not others:
            return headers.format_header(self.name, before + values[name] + after)
        filled = [values[part] if index % 2 else part for index, part in enumerate(self.parts)]
        return headers.format_header(self.name, "".join(filled))

    def plain(self) -> tuple[bytes, str, str, bytes]:
        """Return the bytes before, the slot, a pattern of its plain values, and the bytes after.

        No value is plain unless the longest fits unfolded.
        """
        before, name, *others, after = self.parts
        longest, pattern = headers.PLAIN.get(self.name.lower(), headers.PLAIN_ELSEWHERE)
        start, end = f"{self.name}: {before}".encode(), f"{after}\r\n".encode()
        with suppress(InvalidMessage):
            if not others and self.fill({name: longest}) == start + longest.encode() + end:
                return start, name, pattern, end
        return b"", name, _NEVER, b""


Piece = bytes | BodySlot | HeaderSlot


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """A message with open slots, cheap to fill and to store."""

    pieces: tuple[Piece, ...]
    slots: frozenset[str]

    def fill(self, values: Mapping[str, str]) -> bytes:
        """Return the finished message. Raises InvalidMessage; each slot needs its value."""
        if values.keys() != self.slots:
            raise InvalidMessage("The values are not those of the message's slots.")
        return b"".join(
            [piece if isinstance(piece, bytes) else piece.fill(values) for piece in self.pieces]
        )

    @property
    def size(self) -> int:
        """Return the number of fixed bytes; each copy has about as many."""
        return sum(len(piece) for piece in self.pieces if isinstance(piece, bytes))

    def without_end(self) -> tuple["MessageTemplate", bytes]:
        """Cut off a long end that all copies share, such as files, to keep it once."""
        last = self.pieces[-1] if self.pieces else b""
        if not isinstance(last, bytes) or len(last) < LONG_END:
            return self, b""
        return MessageTemplate(self.pieces[:-1], self.slots), last

    def to_bytes(self) -> bytes:
        """Serialize the message as JSON; the same message gives the same bytes."""
        return json.dumps([_protect(piece) for piece in self.pieces]).encode("ascii")

    @classmethod
    def from_bytes(cls, kept: bytes) -> "MessageTemplate":
        """Restore what `to_bytes` returned."""
        return cls.of([_restore(item) for item in json.loads(kept)])

    @classmethod
    def of(cls, pieces: Iterable[Piece]) -> "MessageTemplate":
        """Join the fixed parts and find the names of the slots."""
        joined: list[Piece] = []
        slots: set[str] = set()
        for piece in pieces:
            if isinstance(piece, BodySlot):
                slots.add(piece.name)
            elif isinstance(piece, HeaderSlot):
                slots.update(piece.parts[1::2])
            elif joined and isinstance(joined[-1], bytes):
                joined[-1] += piece
                continue
            joined.append(piece)
        return cls(tuple(joined), frozenset(slots))


class FastTemplate:
    """Fills very many copies: one match tells whether all values may be used as they are."""

    def __init__(
        self, template: MessageTemplate, ours: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Take samples of the values that we make, which all have the length and letters of these.

        If a sample is plain, so are all such values, and they are not checked again.
        """
        self.wire = template
        self._cut, self._names, self._others = [b""], list[str](), list[str]()
        patterns = []
        for piece in template.pieces:
            if isinstance(piece, bytes):
                self._cut[-1] += piece
                continue
            before, name, pattern, after = piece.plain()
            self._cut[-1:] = [self._cut[-1] + before, b"", after]
            self._names.append(name)
            if not re.fullmatch(pattern, ours.get(name, "")):
                self._others.append(name)
                patterns.append(f"(?>{pattern})")  # no value is tried a second time
        self._is_plain = re.compile("\n".join(patterns)).fullmatch

    def fill(self, values: Mapping[str, str]) -> bytes:
        """Return what `MessageTemplate.fill` returns, faster if all values are plain."""
        is_whole = values.keys() == self.wire.slots
        if is_whole and self._is_plain("\n".join([values[name] for name in self._others])):
            copy = self._cut.copy()
            copy[1::2] = [values[name].encode() for name in self._names]
            return b"".join(copy)
        return self.wire.fill(values)


@lru_cache(maxsize=8)
def _quote_once(value: str) -> bytes:
    """Quote a value that occurs in both bodies of a message."""
    return quote(value)


def quote(text: str) -> bytes:
    """Encode as quoted-printable (RFC 2045 6.7); no line begins with a dot or "From "."""
    lines = map(_quote_line, text.replace("\r\n", "\n").split("\n"))
    return "\r\n".join(lines).encode("ascii")


def _quote_line(line: str) -> str:
    is_plain = line.isascii() and line.isprintable()
    quoted = line.replace("=", "=3D") if is_plain else _NOT_QUOTABLE.sub(_octets, line)
    if quoted.endswith((" ", "\t")):
        quoted = f"{quoted[:-1]}={ord(quoted[-1]):02X}"
    pieces = _PIECE.findall(quoted)
    return "=\r\n".join(
        f"={ord(piece[0]):02X}{piece[1:]}" if piece.startswith((".", "From ")) else piece
        for piece in pieces
    )


def _octets(found: re.Match[str]) -> str:
    return "".join(f"={octet:02X}" for octet in found[0].encode("utf-8", "replace"))


def _protect(piece: Piece) -> object:
    if isinstance(piece, bytes):
        return piece.decode("ascii")
    if isinstance(piece, BodySlot):
        return {"slot": piece.name, "html": piece.is_html}
    return {"header": piece.name, "parts": piece.parts}


def _restore(item: Any) -> Piece:
    if isinstance(item, str):
        return item.encode("ascii")
    if "slot" in item:
        return BodySlot(item["slot"], item["html"])
    return HeaderSlot(item["header"], tuple(item["parts"]))
