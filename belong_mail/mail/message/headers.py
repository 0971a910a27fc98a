"""Format message headers; the standard library allows injection in some (CVE-2024-6923)."""

import re
from binascii import Error as BadBase64
from binascii import a2b_base64, a2b_qp
from collections.abc import Iterable, Iterator
from email.header import Header
from typing import Final

from belong_mail.mail.address import InvalidAddress, check_envelope

MAX_LINE: Final = 998
# Bytes a line, RFC 5322 2.1.1 and RFC 2047 2.
FOLD_AT: Final = 76
# The longest encoded word: so that "Reply-To: " and one word fit on a line.
_MAX_WORD: Final = 66
_ADDRESS_HEADERS = frozenset({"from", "reply-to", "sender", "to"})
_FOLDED = _ADDRESS_HEADERS | {"subject", "list-unsubscribe"}
_OURS_ALONE = frozenset({"bcc", "mime-version", "return-path", "received"})
_PLAIN_ADDRESS = r"[A-Za-z0-9._+-]{1,64}@(?![.-])[A-Za-z0-9.-]{1,189}(?<![.-])"
PLAIN: Final = dict.fromkeys(_ADDRESS_HEADERS, ("x" * 64 + "@" + "x" * 189, _PLAIN_ADDRESS))
PLAIN["subject"] = "x" * 24, "[!-<>@-~]{1,24}"
PLAIN["list-unsubscribe"] = "x" * 200, "[!-<>@-~]{1,200}"
# For other headers: the longest value that needs no encoding, and the pattern of such values.
PLAIN_ELSEWHERE: Final = "x" * 200, "(?! )[ -<>@-~]{1,200}(?<! )"
_NAME = re.compile(r"[A-Z][A-Za-z0-9-]{1,60}")
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_WORD = re.compile(r"=\?([^?*]*)(?:\*[^?]*)?\?([bq])\?(.*?)\?=", re.IGNORECASE)
_QUOTED = r'"(?:[^"\\@]|\\["\\])+"'
_ENCODED = r"=\?utf-8\?[bq]\?[^? ]+\?="
_MAILBOX = re.compile(
    rf"(?:(?:{_QUOTED}|(?P<words>{_ENCODED}(?: {_ENCODED})*)) <(?P<named>[^<>]+)>"
    r"|<(?P<angled>[^<> ]+)>)"
)


class InvalidMessage(ValueError):
    """The message must not be sent; the error does not quote it."""


class InvalidHeader(InvalidMessage):
    """The header must not be written; the error names it without its value."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"The header {name} is refused: {why}.")
        self.name = name


def format_mailbox(display_name: str, address: str) -> str:
    """Return the value of a From, To or Reply-To header, quoted or encoded as needed.

    Refuses a display name with an @, which readers would take for the sender's address.
    """
    try:
        check_envelope(address)
    except InvalidAddress:
        raise InvalidHeader("mailbox", "its address cannot be written") from None
    if not display_name:
        return address
    reject_controls("mailbox", display_name)
    if "@" in display_name:
        raise InvalidHeader("mailbox", "its display name holds an @")
    quoted = re.sub(r'(["\\])', r"\\\1", display_name)
    name = f'"{quoted}"' if _is_plain(display_name) else _encoded(display_name)
    return f"{name} <{address}>"


def format_header(name: str, value: str) -> bytes:
    """Return a header as bytes, folded, with its CRLF. Raises InvalidHeader.

    Subject may be any text. An address header has one mailbox, as `format_mailbox` returns it. All
    others are printable ASCII; List-Unsubscribe is folded only between its links.
    """
    kind = name.lower()
    if kind == "subject":
        reject_controls(name, value)
        value = value if _is_plain(value) else _encoded(value)
    elif not _is_printable(value):
        raise InvalidHeader(name, "it is empty or not printable ASCII")
    elif kind in _ADDRESS_HEADERS:
        _check_mailbox(name, value)
    elif "=?" in value:
        raise InvalidHeader(name, "it looks like an encoded word")
    is_folded = kind in _FOLDED and " " in value
    written = _fold(name, value) if is_folded else f"{name}: {value}\r\n"
    if len(written) > MAX_LINE and max(map(len, written.split("\r\n"))) > MAX_LINE:
        raise InvalidHeader(name, "its line is too long")
    return written.encode("ascii")


def check_names(names: Iterable[str]) -> None:
    """Raise InvalidHeader unless names are valid, unique, and include From and Date."""
    seen: set[str] = set()
    for name in names:
        kind = name.lower()
        if not _NAME.fullmatch(name) or kind in _OURS_ALONE or kind.startswith("content-"):
            raise InvalidHeader("of this name", "it is not written by callers")
        if kind in seen:
            raise InvalidHeader(name, "it stands twice")
        seen.add(kind)
    for needed in ("From", "Date"):
        if needed.lower() not in seen:
            raise InvalidHeader(needed, "it is missing")


def reject_controls(name: str, value: str) -> None:
    """Raise InvalidHeader for control characters and line ends, also within encoded words."""
    if _FORBIDDEN.search(value) or any(map(_FORBIDDEN.search, decoded_words(value))):
        raise InvalidHeader(name, "it holds a control character or a line end")


def decoded_words(value: str) -> Iterator[str]:
    """Yield the decoded text of all encoded words (RFC 2047), also of malformed ones."""
    for charset, scheme, text in _WORD.findall(value):
        raw = text.encode("utf-8", "replace")
        try:
            data = a2b_qp(raw, header=True) if scheme in "qQ" else a2b_base64(raw + b"===")
        except BadBase64:
            continue
        try:
            yield data.decode(charset, "replace")
        except (LookupError, UnicodeError):
            yield data.decode("ascii", "replace")


def _check_mailbox(name: str, value: str) -> None:
    found = _MAILBOX.fullmatch(value) if "<" in value else None
    address = value if found is None else found["named"] or found["angled"]
    try:
        check_envelope(address)
    except InvalidAddress:
        raise InvalidHeader(name, "it is not one mailbox whose address can be written") from None
    if found is not None and found["words"]:
        reject_controls(name, value)
        if any("@" in word for word in decoded_words(value)):
            raise InvalidHeader(name, "its display name holds an @")
    elif "=?" in value:
        raise InvalidHeader(name, "it looks like an encoded word")


def _is_printable(text: str) -> bool:
    """Return whether a text is printable ASCII without spaces at its ends."""
    return text.isascii() and text.isprintable() and text != "" and text.strip() == text


def _is_plain(text: str) -> bool:
    return bool(
        _is_printable(text)
        and "=?" not in text
        and "  " not in text
        and max(map(len, text.split(" "))) <= _MAX_WORD - 2
    )


def _encoded(text: str) -> str:
    """Return encoded words (RFC 2047) that split no character, in the shorter of both encodings."""
    if not text:
        raise InvalidHeader("of text", "it is empty")
    words = Header(text, "utf-8", maxlinelen=_MAX_WORD, continuation_ws="")
    return words.encode(linesep=" ")


def _fold(name: str, value: str) -> str:
    lines = [f"{name}:"]
    for token in value.split(" "):
        if len(lines[-1]) + len(token) >= FOLD_AT and lines[-1] != f"{name}:":
            lines.append(f" {token}")
        else:
            lines[-1] += f" {token}"
    return "\r\n".join(lines) + "\r\n"
