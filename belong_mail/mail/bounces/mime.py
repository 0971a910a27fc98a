"""Parse a returned message, however damaged, within fixed limits and without raising."""

import re
from binascii import Error as BadBase64
from binascii import a2b_base64, a2b_qp
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from itertools import islice
from typing import Final

MAX_TEXT: Final = 64 * 1024
MAX_LINE: Final = 2_000
MAX_DEPTH: Final = 10
MAX_PARTS: Final = 100
# Scripts that write no space between an address and the words around it.
WIDE: Final = "\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef"
_ATOM = rf"\s<>()\[\],;:\"`@\\{WIDE}"
_HOST = rf"(?:[^\W{WIDE}]|[.-])"
_ADDRESS = rf"(?<![^{_ATOM}'])(?!')([^{_ATOM}]{{1,64}})@({_HOST}{{1,255}})"
_NAME = r"[!-9;-~]+(?=[ \t]*:)"
_BOUNDARY = r"\bboundary\s*=\s*(?:\"([^\"]+)|([^\s;\"]+))"
_WORD = r"=\?([^?\s]{1,60})\?([bq])\?([^?]*)\?=(?:\s+(?==\?))?"
_CHARSET = r"\bcharset\s*=\s*[\"']?([\w.:-]{1,40})"
# Charsets that `_readable` decodes as stated, with Python's codec of the widest variant.
_WIDEST: Final = {
    "iso-2022-jp": "iso2022_jp_ext", "shift_jis": "cp932", "shift-jis": "cp932", "x-sjis": "cp932",
    "sjis": "cp932", "windows-31j": "cp932", "cp932": "cp932", "euc-jp": "euc_jp",
    "x-euc-jp": "euc_jp",
    "gb2312": "gb18030", "gb_2312-80": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030",
    "cp936": "gb18030", "gb18030": "gb18030", "hz-gb-2312": "hz", "big5": "big5hkscs",
    "big5-hkscs": "big5hkscs", "iso-2022-kr": "iso2022_kr", "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949", "cp949": "cp949", "koi8-r": "koi8_r", "koi8-u": "koi8_u",
    "cp866": "cp866", "ibm866": "cp866", "tis-620": "tis_620",
    **{f"windows-{n}": f"cp{n}" for n in range(1250, 1259)},
    **{f"cp{n}": f"cp{n}" for n in range(1250, 1259)},
    **{f"iso-8859-{n}": f"iso8859_{n}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
}  # fmt: skip
_JAPANESE_SHIFT: Final = b"\x1b$"
_BREAK = r"<(?:br|/?p|/?div|/?tr|/?li|/h\d)\b[^<>]{0,2000}>"
_TAG = r"<(?:style|script)\b[^<]*|<[^<>]{0,2000}>"
# Unfolded values by lower-case name, in the message's order.
Fields = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf part; an enclosed message is one, too."""

    kind: str
    # The type of the enclosing part; "" if it is the whole message.
    within: str
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    fields: Fields
    parts: tuple[Part, ...]

    @property
    def is_of_a_list(self) -> bool:
        return bool(self.fields.keys() & {"list-id", "list-post", "list-unsubscribe"})

    @property
    def has_null_path(self) -> bool:
        return self.first("return-path").strip() == "<>"

    def first(self, name: str) -> str:
        return first(self.fields, name)

    def text_of(self, *kinds: str) -> str | None:
        """Return the text of the first part of one of these types, or None."""
        return next((part.text for part in self.parts if part.kind in kinds), None)

    def written(self) -> str:
        """Return the text before the returned message: plain, or else HTML without tags."""
        texts = {"text/plain": "", "text/html": ""}
        for part in self.parts:
            if part.kind.startswith("message/") or part.kind == "text/rfc822-headers":
                break
            if part.kind in texts:
                texts[part.kind] += part.text + "\n\n"
        plain, html = texts["text/plain"], texts["text/html"]
        return (plain if plain.strip() else _without_tags(html))[:MAX_TEXT]


def parse_message(data: bytes, limit: int) -> Message:
    """Parse a message, however damaged; bytes beyond `limit` are ignored."""
    text = _one_newline(data[: 2 * limit].decode("latin-1"))[:limit]
    fields, body = _split(text.lstrip())
    return Message(fields, tuple(islice(_parts(fields, body, "", 0), MAX_PARTS)))


def fields_of(text: str) -> Fields:
    """Parse header fields; a line without a name continues the last value."""
    fields: Fields = {}
    values: list[str] = []
    for line in text.split("\n"):
        if named := re.match(_NAME, line):
            values = fields.setdefault(named[0].lower(), [])
            values.append(line.partition(":")[2].strip()[:MAX_LINE])
        elif values and len(values[-1]) < MAX_LINE:
            values[-1] += " " + line.strip()[:MAX_LINE]
    return fields


def first(fields: Fields, name: str) -> str:
    """Return the first value of a name with its encoded words (RFC 2047) decoded, or ""."""
    value = _readable(fields.get(name, [""])[0].encode("latin-1", "replace"))
    return re.sub(_WORD, _decode_word, value, flags=re.IGNORECASE) if "=?" in value else value


def addresses_in(text: str) -> Iterator[str]:
    """Yield the addresses in a text, with lower-case domains."""
    for local, host in re.findall(_ADDRESS, text):
        if name := host.rstrip(".").lower():
            yield f"{local}@{name}"


def _split(text: str) -> tuple[Fields, str]:
    if not re.match(rf"{_NAME}|From ", text):
        return {}, text.removeprefix("\n")
    head, _, body = text.partition("\n\n")
    return fields_of(head), body


def _parts(fields: Fields, body: str, within: str, depth: int) -> Iterator[Part]:
    content = first(fields, "content-type")
    kind = content.partition(";")[0].strip().lower() or "text/plain"
    pieces = _pieces(content, body) if kind.startswith("multipart/") else []
    if pieces and depth < MAX_DEPTH:
        for piece in pieces:
            yield from _parts(*_split(piece), kind, depth + 1)
    else:
        encoding = first(fields, "content-transfer-encoding").strip().lower()
        named = re.search(_CHARSET, content, re.IGNORECASE)
        yield Part(kind, within, _decoded(body, encoding, named[1] if named else ""))


def _pieces(content: str, body: str) -> list[str]:
    """Split a multipart body at its boundary, or at the first line that looks like one."""
    named = re.search(_BOUNDARY, content, re.IGNORECASE)
    mark = f"--{(named[1] or named[2]).rstrip()}" if named else ""
    if not mark or mark not in body:
        guessed = re.search(r"^--[^\s-]\S+$", body, re.MULTILINE)
        if guessed is None:
            return []
        mark = guessed[0]
    pieces: list[list[str]] = []
    for line in body.split("\n"):
        if line.startswith(mark) and line.rstrip() in {mark, f"{mark}--"}:
            pieces.append([])
        elif pieces:
            pieces[-1].append(line)
    return ["\n".join(piece) for piece in pieces]


def _decoded(text: str, encoding: str, charset: str) -> str:
    raw = text.encode("latin-1")
    try:
        if encoding == "quoted-printable":
            raw = a2b_qp(raw)
        elif encoding == "base64":
            raw = a2b_base64(raw + b"===")
    except BadBase64:
        pass
    lines = _one_newline(_readable(raw[:MAX_TEXT], charset)).replace("\0", "").split("\n")
    return "\n".join(line[:MAX_LINE] for line in lines)


def _readable(raw: bytes, charset: str = "") -> str:
    """Decode by the stated charset if `_WIDEST` has it, else as UTF-8 or Latin-1.

    Invalid bytes are replaced, so that codes and English words stay readable.
    """
    told = "iso-2022-jp" if _JAPANESE_SHIFT in raw and not charset else charset.lower()
    if told in _WIDEST:
        return raw.decode(_WIDEST[told], "replace")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _decode_word(found: re.Match[str]) -> str:
    raw = found[3].encode("utf-8", "replace")
    try:
        opened = a2b_qp(raw, header=True) if found[2] in "qQ" else a2b_base64(raw + b"===")
    except BadBase64:
        return found[3]
    return _readable(opened, found[1].partition("*")[0])


def _one_newline(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _without_tags(html: str) -> str:
    broken = re.sub(_BREAK, "\n", html, flags=re.IGNORECASE)
    return unescape(re.sub(_TAG, " ", broken, flags=re.IGNORECASE))
