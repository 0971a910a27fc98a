"""Looking for words in bytes, however they are spelled there."""

import base64
import html
import quopri
import urllib.parse
from collections.abc import Iterable, Iterator


def stands_in(data: bytes, words: str) -> bool:
    """Tell whether words stand in data: plain, in either case, encoded in any usual way."""
    return found_in(data, [words]) != []


def found_in(data: bytes, wanted: Iterable[str]) -> list[str]:
    texts = list(readings(data))
    lowered = data.lower()
    return [
        words
        for words in wanted
        if any(words.casefold() in text for text in texts)
        or any(form in data for form in encoded(words))
        or any(form.encode().hex().encode() in lowered for form in cases(words))
    ]


def cases(words: str) -> set[str]:
    return {words, words.lower(), words.upper()}


def encoded(words: str) -> Iterator[bytes]:
    for form in cases(words):
        yield from base64_cores(form.encode())
        yield form.encode("utf-16-le")
        yield form.encode("utf-16-be")
        yield form.encode()[::-1]


def readings(data: bytes) -> Iterator[str]:
    """Yield data as text: as it stands, without soft breaks, and unescaped in each usual way."""
    text = data.decode("utf-8", "replace")
    quoted = quopri.decodestring(data).decode("utf-8", "replace")
    for each in (text, quoted, urllib.parse.unquote_plus(text), html.unescape(text)):
        yield each.casefold()
    yield "".join(text.split()).casefold()


def base64_cores(raw: bytes) -> Iterator[bytes]:
    """Yield what base64 makes of the words at each of the three places within a longer text."""
    for shift in range(3):
        padded = bytes(shift) + raw
        whole = padded[: len(padded) // 3 * 3]
        first = 4 if shift else 0
        core = base64.b64encode(whole)[first:]
        if len(core) >= 8:
            yield core
            yield core.translate(bytes.maketrans(b"+/", b"-_"))
