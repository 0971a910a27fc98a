"""The line to a relay: bytes, replies and deadlines, which a dripping server cannot stretch."""

import smtplib
import socket
import ssl
import struct
import time
from contextlib import suppress
from typing import Final

MAX_REPLY_LINE: Final = 2000
MAX_REPLY_LINES: Final = 100
PHASES_IN_TOTAL: Final = 2
"""Opening, and each transaction before its final dot, take at most so many time-outs."""

LONGEST_TICK: Final = 1.0
"""Seconds between two looks at a deadline while nothing comes."""

_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
_TIMEVAL: Final = struct.Struct("@ll")


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
        self._phase_seconds = timeout
        self._dot_seconds = dot_timeout
        self._unread = b""
        self._is_ticking = self._must_acknowledge = False
        self._deadline = self._last = 0.0

    def start_clock(self) -> None:
        """Begin what must be over after PHASES_IN_TOTAL time-outs."""
        self._last = time.monotonic() + PHASES_IN_TOTAL * self._phase_seconds

    def phase(self, name: str, share: float = 1.0) -> None:
        """Begin a phase, which has its share of the time-out."""
        self.now = name
        self._deadline = min(time.monotonic() + share * self._phase_seconds, self._last)

    def await_dot(self) -> None:
        """Begin the wait for the answer to the final dot, which no other deadline cuts short."""
        self.now = "DOT"
        self._deadline = time.monotonic() + self._dot_seconds

    def dial(self, host: str, port: int) -> None:
        """Connect, and wait for nothing else."""
        self.sock = socket.create_connection((host, port), self._left())
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def wrap(self, context: ssl.SSLContext, host: str) -> None:
        """Begin TLS. What was sent before it is refused: somebody slipped it in (RFC 3207 4.2)."""
        if self._unread:
            raise Broken("bytes before TLS")
        plain = self._open_socket()
        plain.settimeout(self._left())
        self.sock = context.wrap_socket(plain, server_hostname=host)

    def refuse_chatter(self) -> None:
        """Raise Broken when the other side said something unasked, or hung up."""
        sock = self._open_socket()
        patience = sock.gettimeout()
        sock.settimeout(0)
        with suppress(BlockingIOError, ssl.SSLWantReadError):
            self._receive()
        sock.settimeout(patience)
        self.refuse_surplus()

    def refuse_surplus(self) -> None:
        """Raise Broken when more has come than was asked for."""
        if self._unread:
            raise Broken("a reply to nothing")

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Write a command, on one line and only when every reply has been read."""
        command = f"{cmd} {args}" if args else cmd
        if self._unread or not command.isprintable():
            raise Broken("a reply to nothing, or a line end in a command")
        self.write(f"{command}\r\n".encode("ascii"))

    def write(self, data: bytes) -> None:
        """Write all of it before the deadline."""
        self._must_acknowledge = False
        sock = self._open_socket()
        rest = memoryview(data)
        while rest:
            if not self._is_ticking:
                sock.settimeout(self._left())
            try:
                rest = rest[sock.send(rest) :]
            except (BlockingIOError, TimeoutError):
                self._left()

    def tick(self) -> None:
        """From here on wait in the kernel, a tick at a time, rather than poll before each call."""
        tick = min(LONGEST_TICK, self._phase_seconds / 4, self._dot_seconds / 4)
        sock = self._open_socket()
        self._is_ticking = True
        if isinstance(sock, ssl.SSLSocket):
            sock.settimeout(tick)
            return
        sock.settimeout(None)
        span = _TIMEVAL.pack(int(tick), int(tick % 1 * 1_000_000))
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            sock.setsockopt(socket.SOL_SOCKET, option, span)

    def burst(self, count: int) -> list[bytes]:
        """Return so many lines where they came together; else []."""
        if not self._unread:
            self._wait()
        lines = self._unread.split(b"\r\n", count)
        if len(lines) <= count:
            return []
        self._unread = lines.pop()
        return lines

    def getreply(self) -> tuple[int, bytes]:
        """Return the code and the text of the next reply, its lines joined by LF."""
        texts: list[bytes] = []
        while len(texts) < MAX_REPLY_LINES:
            line = self._next_line()
            code, mark = line[:3], line[3:4]
            if not code.isdigit() or not b"2" <= code[:1] <= b"5" or mark not in (b"", b" ", b"-"):
                raise Broken("not a reply")
            texts.append(line[4:].strip())
            if mark != b"-":
                return int(code), b"\n".join(texts)
        raise Broken("an endless reply")

    def _next_line(self) -> bytes:
        while (end := self._unread.find(b"\n")) < 0:
            if len(self._unread) > MAX_REPLY_LINE:
                raise Broken("an endless line")
            self._wait()
        line, self._unread = self._unread[:end], self._unread[end + 1 :]
        return line.rstrip(b"\r")

    def unread(self, lines: list[bytes]) -> None:
        """Put lines back that `burst` gave."""
        self._unread = b"".join(line + b"\r\n" for line in lines) + self._unread

    def _wait(self) -> None:
        """Wait for more until the deadline.

        The other side may wait until we acknowledge what it said last, which a write does too.
        """
        if self._must_acknowledge and _QUICKACK is not None:
            self._open_socket().setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        while True:
            left = self._left()
            if not self._is_ticking:
                self._open_socket().settimeout(left)
            try:
                return self._receive()
            except (BlockingIOError, TimeoutError):
                continue

    def _receive(self) -> None:
        """Take what has come."""
        data = self._open_socket().recv(4096)
        if not data:
            raise Broken("it hung up")
        self._unread += data
        self._must_acknowledge = True

    def _open_socket(self) -> socket.socket:
        if self.sock is None:
            raise Broken("the connection is closed")
        return self.sock

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left
