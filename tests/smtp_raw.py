"""A message's raw bytes, read without the standard library's kindness."""

import re
from collections import Counter

MAX_LINE = 998


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
