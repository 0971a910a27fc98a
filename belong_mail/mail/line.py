"""The line to a relay: bytes, replies and deadlines, which a dripping server cannot stretch."""

import re
import smtplib
import socket
import ssl
import time
from contextlib import suppress
from typing import Final

from belong_mail.mail.steps import Steps, Wait, here

MAX_REPLY_LINE: Final = 2000
MAX_REPLY_LINES: Final = 100
PHASES_IN_TOTAL: Final = 2
"""Opening, and each transaction before its final dot, take at most so many time-outs."""

_BEGINNING: Final = re.compile(rb"([2-5]\d\d)([ -]|$)")  # of each line of a reply (RFC 5321 4.2.1)
_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
_RECORD: Final = 16384
"""Octets of the largest TLS record: what has come is taken whole (RFC 8446, 5.1)."""
_NOT_NOW: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Broken(Exception):
    """The other side hung up, or does not speak SMTP as it must."""


class Line(smtplib.SMTP):
    """smtplib's EHLO and AUTH over a reader and a writer of our own.

    A phase has one deadline, however many bytes it takes. A reply is whole, capped and well
    formed, or Broken is raised; what goes wrong below is an OSError.
    """

    def __init__(self, ehlo: str, *, timeout: float, dot_timeout: float, is_lmtp: bool) -> None:
        super().__init__(local_hostname=ehlo)
        if is_lmtp:
            self.ehlo_msg = "lhlo"
        self.now = "CONNECT"
        """The phase, for errors."""
        self.deadline = 0.0
        """When the phase must be over, by the monotonic clock."""
        self._phase_seconds = timeout
        self._dot_seconds = dot_timeout
        self._unread = b""
        self._must_acknowledge = False
        self._last = 0.0

    def start_clock(self) -> None:
        """Begin what must be over after PHASES_IN_TOTAL time-outs."""
        self._last = time.monotonic() + PHASES_IN_TOTAL * self._phase_seconds

    def phase(self, name: str, share: float = 1.0) -> None:
        """Begin a phase, which has its share of the time-out."""
        self.now = name
        self.deadline = min(time.monotonic() + share * self._phase_seconds, self._last)

    def await_dot(self) -> None:
        """Begin the wait for the answer to the final dot, which no other deadline cuts short."""
        self.now = "DOT"
        self.deadline = time.monotonic() + self._dot_seconds

    def dial(self, host: str, port: int) -> None:
        """Connect, and wait for nothing else."""
        self.sock = socket.create_connection((host, port), self._left())
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def wrap(self, context: ssl.SSLContext, host: str) -> None:
        """Begin TLS. What was sent before it is refused: somebody slipped it in (RFC 3207 4.2)."""
        if self._unread:
            raise Broken("bytes before TLS")
        self._be_patient()
        self.sock = context.wrap_socket(self._open_socket(), server_hostname=host)

    def attend(self) -> int:
        """Wait for nothing from here on; return the file whose news to wait for."""
        sock = self._open_socket()
        sock.settimeout(0)
        return sock.fileno()

    def refuse_chatter(self) -> None:
        """Raise Broken when the other side said something unasked, or hung up."""
        with suppress(*_NOT_NOW):
            self._receive()
        self.refuse_surplus()

    def refuse_surplus(self) -> None:
        """Raise Broken when more has come than was asked for."""
        if self._unread:
            raise Broken("a reply to nothing")

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Write a command, on one line and only when every reply has been read, and wait for it."""
        command = f"{cmd} {args}" if args else cmd
        if self._unread or not command.isprintable():
            raise Broken("a reply to nothing, or a line end in a command")
        here(self.say(f"{command}\r\n".encode("ascii")), self._be_patient)

    def getreply(self) -> tuple[int, bytes]:
        """Wait for the next reply and return it."""
        return here(self.reply(), self._be_patient)

    def say(self, data: bytes) -> Steps[None]:
        """Write all of it before the deadline."""
        if rest := self.begin_to_say(data):
            yield from self.say_on(rest)

    def begin_to_say(self, data: bytes) -> memoryview | None:
        """Write what goes at once; return what is left for `say_on`."""
        self._must_acknowledge = False
        try:
            written = self._open_socket().send(data)
        except _NOT_NOW:
            written = 0
        return memoryview(data)[written:] if written < len(data) else None

    def say_on(self, rest: memoryview) -> Steps[None]:
        """Write the rest as the other side takes it."""
        while rest:
            yield Wait.WRITE
            with suppress(*_NOT_NOW):
                rest = rest[self._open_socket().send(rest) :]

    def is_silent(self) -> bool:
        """Tell whether it is time to wait for more.

        The other side may wait until we acknowledge what it said last, which a write does too.
        """
        if self._unread:
            return False
        self._acknowledge()
        return True

    def hears(self, words: re.Pattern[bytes]) -> bool:
        """Take these words, if just they have come; else leave all to `reply`."""
        if not self._unread:
            with suppress(*_NOT_NOW):
                self._receive()
        if is_all := words.fullmatch(self._unread) is not None:
            self._unread = b""
        return is_all

    def reply(self) -> Steps[tuple[int, bytes]]:
        """Return the code and the text of the next reply, its lines joined by LF."""
        texts, code = list[bytes](), b""
        while len(texts) < MAX_REPLY_LINES:
            line = yield from self._next_line()
            found = _BEGINNING.match(line)
            if found is None or code not in (b"", found[1]):
                raise Broken("not a reply")
            code = found[1]
            texts.append(line[4:].strip())
            if found[2] != b"-":
                return int(code), b"\n".join(texts)
        raise Broken("an endless reply")

    def _next_line(self) -> Steps[bytes]:
        while (end := self._unread.find(b"\n", 0, MAX_REPLY_LINE + 1)) < 0:
            if len(self._unread) > MAX_REPLY_LINE:
                raise Broken("an endless line")
            yield from self._more()
        line, self._unread = self._unread[:end], self._unread[end + 1 :]
        return line.rstrip(b"\r")

    def _more(self) -> Steps[None]:
        self._acknowledge()
        while True:
            yield Wait.READ
            try:
                return self._receive()
            except _NOT_NOW:
                continue

    def _acknowledge(self) -> None:
        if self._must_acknowledge and _QUICKACK is not None:
            self._open_socket().setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def _receive(self) -> None:
        """Take what has come."""
        data = self._open_socket().recv(_RECORD)
        if not data:
            raise Broken("it hung up")
        self._unread += data
        self._must_acknowledge = True

    def _be_patient(self) -> None:
        """Let the socket wait until the deadline."""
        self._open_socket().settimeout(self._left())

    def _open_socket(self) -> socket.socket:
        if self.sock is None:
            raise Broken("the connection is closed")
        return self.sock

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left
