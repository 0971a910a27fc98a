"""Message templates with slots: the fixed parts are encoded once for all copies."""

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
# Values that need neither quoted-printable nor HTML escapes, wherever they stand on a line.
_UNENCODED = re.compile(r"(?!\.|From )[ !#-%(-;?-~]{0,72}[!#-%(-;?-~]")
_NO_MATCH = "(?!)"
# Bytes of a fixed end that is not copied into each message.
LONG_END = 100_000


def slot(name: str) -> str:
    """Return the marker of a slot, which each recipient's value replaces."""
    if not _SLOT_NAME.fullmatch(name):
        raise ValueError("A slot's name is a lower-case identifier.")
    return _OPEN + "".join(chr(_FIRST + ord(character)) for character in name) + _CLOSE


def split(source: str) -> tuple[str, ...]:
    """Split a text into fixed text and slot names, alternating; first and last are fixed text."""
    found = _SLOT.split(source)
    found[1::2] = ["".join(chr(ord(mark) - _FIRST) for mark in name) for name in found[1::2]]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class BodySlot:
    """A slot that has quoted-printable lines of its own, so that any value fits."""

    name: str
    is_html: bool

    def fill(self, values: Mapping[str, str]) -> bytes:
        value = values[self.name]
        if _UNENCODED.fullmatch(value):
            return value.encode("ascii")
        return _quote_once(markup.escape(value) if self.is_html else value)

    def plain(self) -> tuple[bytes, str, str, bytes]:
        """Return (fixed bytes before, slot name, pattern of unencoded values, bytes after)."""
        return b"", self.name, _UNENCODED.pattern, b""


@dataclass(frozen=True, slots=True)
class HeaderSlot:
    """A header with slots, which is checked and encoded as a whole."""

    name: str
    # Fixed text and slot names, alternating.
    parts: tuple[str, ...]

    def fill(self, values: Mapping[str, str]) -> bytes:
        before, name, after, *others = self.parts
        if not others:
            return headers.format_header(self.name, before + values[name] + after)
        filled = [values[part] if index % 2 else part for index, part in enumerate(self.parts)]
        return headers.format_header(self.name, "".join(filled))

    def plain(self) -> tuple[bytes, str, str, bytes]:
        """Return the same as `BodySlot.plain`, as long as no value would need folding."""
        before, name, *others, after = self.parts
        longest, pattern = headers.PLAIN.get(self.name.lower(), headers.PLAIN_ELSEWHERE)
        start, end = f"{self.name}: {before}".encode(), f"{after}\r\n".encode()
        with suppress(InvalidMessage):
            if not others and self.fill({name: longest}) == start + longest.encode() + end:
                return start, name, pattern, end
        return b"", name, _NO_MATCH, b""

    def around(self, ours: Mapping[str, str]) -> list[bytes]:
        """Return the fixed bytes around several values, all as long as their samples, or none."""
        names = self.parts[1::2]
        if len(names) == 1 or not ours.keys() >= set(names):
            return []
        samples = "|".join(re.escape(ours[name]) for name in names)
        fixed = re.split(samples.encode(), self.fill(ours))
        return fixed if len(fixed) == len(names) + 1 else []


Piece = bytes | BodySlot | HeaderSlot


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """A message with slots."""

    pieces: tuple[Piece, ...]
    slots: frozenset[str]

    def fill(self, values: Mapping[str, str]) -> bytes:
        """Return the finished message. Raises InvalidMessage; each slot needs a value."""
        if values.keys() != self.slots:
            raise InvalidMessage("The values are not those of the message's slots.")
        return b"".join(
            [piece if isinstance(piece, bytes) else piece.fill(values) for piece in self.pieces]
        )

    @property
    def size(self) -> int:
        """Return the number of fixed bytes."""
        return sum(len(piece) for piece in self.pieces if isinstance(piece, bytes))

    def without_end(self) -> tuple["MessageTemplate", bytes]:
        """Split off a long fixed end, such as attachments, that all copies can share."""
        last = self.pieces[-1] if self.pieces else b""
        if not isinstance(last, bytes) or len(last) < LONG_END:
            return self, b""
        return MessageTemplate(self.pieces[:-1], self.slots), last

    def to_bytes(self) -> bytes:
        """Serialize as JSON; equal templates give equal bytes."""
        return json.dumps([_to_json(piece) for piece in self.pieces]).encode("ascii")

    @classmethod
    def from_bytes(cls, kept: bytes) -> "MessageTemplate":
        """Parse the output of `to_bytes`."""
        return cls.of([_from_json(item) for item in json.loads(kept)])

    @classmethod
    def of(cls, pieces: Iterable[Piece]) -> "MessageTemplate":
        """Build a template, joining adjacent fixed bytes."""
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
    """Fills many copies fast: one match decides whether all values can be used unencoded."""

    def __init__(
        self, template: MessageTemplate, ours: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Prepare a template; `ours` has samples of values that we generate.

        All values of such a slot have the sample's length and alphabet, so that checking it once is
        enough.
        """
        self.wire = template
        self._cut, self._names, self._others = [b""], list[str](), list[str]()
        patterns = []
        for piece in template.pieces:
            if isinstance(piece, bytes):
                self._cut[-1] += piece
                continue
            if isinstance(piece, HeaderSlot) and (around := piece.around(ours)):
                self._cut[-1] += around[0]
                self._cut += [each for after in around[1:] for each in (b"", after)]
                self._names += piece.parts[1::2]
                continue
            before, name, pattern, after = piece.plain()
            self._cut[-1:] = [self._cut[-1] + before, b"", after]
            self._names.append(name)
            if not re.fullmatch(pattern, ours.get(name, "")):
                self._others.append(name)
                patterns.append(f"(?>{pattern})")  # no value is tried a second time
        self._is_plain = re.compile("\n".join(patterns)).fullmatch

    def fill(self, values: Mapping[str, str]) -> bytes:
        """Return the same as `MessageTemplate.fill`, faster if no value needs encoding."""
        is_whole = values.keys() == self.wire.slots
        if is_whole and self._is_plain("\n".join([values[name] for name in self._others])):
            copy = self._cut.copy()
            copy[1::2] = [values[name].encode() for name in self._names]
            return b"".join(copy)
        return self.wire.fill(values)


@lru_cache(maxsize=8)
def _quote_once(value: str) -> bytes:
    """Quote a value once for both bodies of a message."""
    return quote(value)


def quote(text: str) -> bytes:
    """Encode as quoted-printable (RFC 2045 6.7) without lines that begin with a dot or "From "."""
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


def _to_json(piece: Piece) -> object:
    if isinstance(piece, bytes):
        return piece.decode("ascii")
    if isinstance(piece, BodySlot):
        return {"slot": piece.name, "html": piece.is_html}
    return {"header": piece.name, "parts": piece.parts}


def _from_json(item: Any) -> Piece:
    if isinstance(item, str):
        return item.encode("ascii")
    if "slot" in item:
        return BodySlot(item["slot"], item["html"])
    return HeaderSlot(item["header"], tuple(item["parts"]))
