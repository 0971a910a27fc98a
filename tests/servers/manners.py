"""Extensions and rules of a mail server of the tests."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

EXTENSIONS = ("PIPELINING", "SIZE 10485760", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN")
# For a server that wants each reply read before the next command.
SLOW = tuple(each for each in EXTENSIONS if each != "PIPELINING")

# Nothing may follow these before their reply was read (RFC 2920, 3.1).
LAST_IN_GROUP = {"EHLO", "LHLO", "HELO", "DATA", "NOOP", "QUIT", "STARTTLS", "AUTH"}


@dataclass(frozen=True)
class Manners:
    tls: Literal["none", "starttls", "implicit"]
    context: ssl.SSLContext | None
    extensions: tuple[str, ...]
    users: dict[str, str]
    mechanisms: str
    # Users by the token that opens (XOAUTH2); None: no token does.
    bearers: Mapping[str, str] | None = None

    @cached_property
    def size(self) -> int:
        """Octets that a message may have (RFC 1870); 0: any number."""
        return self._number(r"SIZE (\d+)")

    @cached_property
    def mailmax(self) -> int:
        """Transactions on a connection (RFC 9422); 0: any number."""
        return self._number(r"LIMITS .*MAILMAX=(\d+)")

    def _number(self, pattern: str) -> int:
        found = re.search(pattern, "\n".join(self.extensions))
        return int(found[1]) if found else 0

    def complaint(self, command: str, verb: str, ahead: bytes) -> str:
        """Say what is wrong with a command and what was sent with it, "" if nothing."""
        if ahead and "PIPELINING" not in self.extensions:
            return f"{verb}: the next command before this one's reply"
        if ahead and verb in LAST_IN_GROUP:
            return f"{verb}: something in the same group"
        if not command.isascii() and "SMTPUTF8" not in self.extensions:
            return f"{verb}: not ASCII"
        return ""
