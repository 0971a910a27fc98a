"""A message's raw bytes, read without the standard library's kindness."""

import re
from collections import Counter
from html.parser import HTMLParser

MAX_LINE = 998
FETCHING = {"src", "href", "background", "srcset", "poster", "data", "action"}


def header_lines(data: bytes) -> list[tuple[str, str]]:
    """Return names and unfolded values, in order, undecoded."""
    head = data.partition(b"\r\n\r\n")[0].decode("ascii")
    unfolded = re.sub(r"\r\n(?=[ \t])", "", head)
    pairs = (line.partition(": ") for line in unfolded.split("\r\n"))
    return [(name, value) for name, _, value in pairs]


def check_form(data: bytes) -> dict[str, str]:
    """Return the headers of a well-formed message, each of which stands there once.

    RFC 5322 2.1.1, 2.3 and 3.6: lines, line ends, no 8-bit octets, no header twice.
    """
    lines = data.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)
    assert max(map(len, lines)) <= MAX_LINE
    assert data.isascii()
    headers = header_lines(data)
    names = Counter(name.lower() for name, _ in headers)
    assert max(names.values()) == 1, names
    assert "bcc" not in names
    return dict(headers)


class Page(HTMLParser):
    """An HTML part: where it links, and whatever a reader's machine would fetch by itself."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.fetched: list[str] = []
        self.tags: Counter[str] = Counter()
        self._is_style = False
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self._is_style = tag == "style"
        for name, value in attrs:
            if tag == "a" and name == "href":
                self.links.add(value or "")
            elif name in FETCHING or name.startswith("on"):
                self.fetched.append(f"{tag} {name}")
            elif name == "style":
                self.fetched += re.findall(r"url\(|@import", value or "")

    def handle_data(self, data: str) -> None:
        if self._is_style:
            self.fetched += re.findall(r"url\(|@import", data)

    def handle_endtag(self, _tag: str) -> None:
        self._is_style = False
