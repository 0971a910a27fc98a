"""Connect to a relay: TLS, EHLO, AUTH, lines and deadlines (RFC 5321, RFC 3207, RFC 4954)."""

import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from belong_mail.mail.oauth import TokenSource, bearer
from belong_mail.mail.smtp.replies import Reply

MAX_REPLY_LINE: Final = 2000
MAX_REPLY_LINES: Final = 100
# How many timeouts opening a connection may take in all, or a transaction before its final dot.
PHASES_IN_TOTAL: Final = 2
_REPLY_LINE: Final = re.compile(rb"([2-5]\d\d)([ -]|$)")  # of each line of a reply (RFC 5321 4.2.1)
_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
# Bytes of the largest TLS record, so that one is read whole (RFC 8446, 5.1).
_RECORD: Final = 16384
_WOULD_BLOCK: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class ProtocolError(Exception):
    """The other side hung up, or does not speak SMTP correctly."""


T = TypeVar("T")


# The event for which a conversation waits. At "message" it is idle: `send` gives it the next
# message, or None to end it.
WaitFor = Literal["read", "write", "message"]
# A coroutine, resumed after the event it waits for; TimeoutError is thrown in at the deadline.
SmtpSteps = Generator[WaitFor, Any, T]


class SmtpConnection(smtplib.SMTP):
    """smtplib's EHLO and AUTH over our own bounded reader and writer.

    Each phase has one deadline, however the bytes trickle in. Raises ProtocolError for a reply that
    is malformed, too long or cut off, and OSError for the network.
    """

    def __init__(self, relay: "Relay") -> None:
        super().__init__(local_hostname=relay.ehlo)
        if relay.scheme == "lmtp":
            self.ehlo_msg = "lhlo"
        self.now = "CONNECT"
        """The phase under way, which errors name."""
        self.deadline = 0.0
        """When the phase must be over, by the monotonic clock."""
        self._phase_seconds, self._dot_seconds = relay.timeout, relay.dot_timeout
        self._unread = b""
        self._must_acknowledge = False
        self._last = 0.0

    def start_clock(self) -> None:
        """Start the deadline for opening a connection or for one transaction, in all phases."""
        self._last = time.monotonic() + PHASES_IN_TOTAL * self._phase_seconds

    def phase(self, name: str, share: float = 1.0) -> None:
        """Begin a phase that may take this share of the timeout."""
        self.now = name
        self.deadline = min(time.monotonic() + share * self._phase_seconds, self._last)

    def await_dot(self) -> None:
        """Begin the wait for the reply to the final dot, which the transaction does not limit."""
        self.now = "DOT"
        self.deadline = time.monotonic() + self._dot_seconds

    def dial(self, host: str, port: int) -> None:
        """Open the TCP connection."""
        self.sock = socket.create_connection((host, port), self._left())
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def wrap(self, context: ssl.SSLContext, host: str) -> None:
        """Begin TLS. Refuses bytes sent before, which someone may have injected (RFC 3207 4.2)."""
        if self._unread:
            raise ProtocolError("bytes before TLS")
        self._set_timeout()
        self.sock = context.wrap_socket(self._open_socket(), server_hostname=host)

    def make_nonblocking(self) -> int:
        """Make the socket nonblocking, and return it for polling."""
        sock = self._open_socket()
        sock.settimeout(0)
        return sock.fileno()

    def expect_silence(self) -> None:
        """Raise ProtocolError if the server sent an unexpected reply, or closed the connection."""
        with suppress(*_WOULD_BLOCK):
            self._receive()
        self.expect_no_more()

    def expect_no_more(self) -> None:
        """Raise ProtocolError if a reply was received that no command asked for."""
        if self._unread:
            raise ProtocolError("a reply to nothing")

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command on one line; raise ProtocolError if an earlier reply is still unread."""
        command = f"{cmd} {args}" if args else cmd
        if self._unread or not command.isprintable():
            raise ProtocolError("a reply to nothing, or a line end in a command")
        run_blocking(self.say(f"{command}\r\n".encode("ascii")), self._set_timeout)

    def getreply(self) -> tuple[int, bytes]:
        """Wait for the next reply and return it."""
        return run_blocking(self.reply(), self._set_timeout)

    def say(self, data: bytes) -> SmtpSteps[None]:
        """Send all data."""
        if rest := self.start_sending(data):
            yield from self.continue_sending(rest)

    def start_sending(self, *parts: bytes) -> memoryview | None:
        """Send as much as the socket takes at once; return the rest for `continue_sending`."""
        self._must_acknowledge = False
        sock = self._open_socket()
        try:
            # Without TLS, the kernel joins the parts; TLS needs one buffer.
            is_tls = isinstance(sock, ssl.SSLSocket)
            written = sock.send(b"".join(parts)) if is_tls else sock.sendmsg(parts)
        except _WOULD_BLOCK:
            written = 0
        is_all = written == sum(map(len, parts))
        return None if is_all else memoryview(b"".join(parts))[written:]

    def continue_sending(self, rest: memoryview) -> SmtpSteps[None]:
        """Send the rest whenever the socket can take more."""
        while rest:
            yield "write"
            with suppress(*_WOULD_BLOCK):
                rest = rest[self._open_socket().send(rest) :]

    def is_silent(self) -> bool:
        """Return whether nothing was received yet, so that the caller waits.

        Acknowledges received bytes at once (TCP_QUICKACK), as the server may wait for that.
        """
        if self._unread:
            return False
        self._acknowledge()
        return True

    def hears(self, words: re.Pattern[bytes]) -> bool:
        """Consume the received bytes if the pattern matches all of them; otherwise leave them."""
        if not self._unread:
            try:  # noqa: SIM105 - it is done for each message, and `suppress` costs as much again
                self._receive()
            except _WOULD_BLOCK:
                pass
        if is_all := words.fullmatch(self._unread) is not None:
            self._unread = b""
        return is_all

    def reply(self) -> SmtpSteps[tuple[int, bytes]]:
        """Return the code and the text of the next reply, its lines joined by LF."""
        texts, code = list[bytes](), b""
        while len(texts) < MAX_REPLY_LINES:
            line = yield from self._next_line()
            found = _REPLY_LINE.match(line)
            if found is None or code not in (b"", found[1]):
                raise ProtocolError("not a reply")
            code = found[1]
            texts.append(line[4:].strip())
            if found[2] != b"-":
                return int(code), b"\n".join(texts)
        raise ProtocolError("an endless reply")

    def _next_line(self) -> SmtpSteps[bytes]:
        while (end := self._unread.find(b"\n", 0, MAX_REPLY_LINE + 1)) < 0:
            if len(self._unread) > MAX_REPLY_LINE:
                raise ProtocolError("an endless line")
            yield from self._receive_more()
        line, self._unread = self._unread[:end], self._unread[end + 1 :]
        return line.rstrip(b"\r")

    def _receive_more(self) -> SmtpSteps[None]:
        self._acknowledge()
        while True:
            yield "read"
            try:
                return self._receive()
            except _WOULD_BLOCK:
                continue

    def _acknowledge(self) -> None:
        if self._must_acknowledge and _QUICKACK is not None:
            self._open_socket().setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def _receive(self) -> None:
        data = self._open_socket().recv(_RECORD)
        if not data:
            raise ProtocolError("it hung up")
        self._unread += data
        self._must_acknowledge = True

    def _set_timeout(self) -> None:
        """Set the socket's timeout to the time left."""
        self._open_socket().settimeout(self._left())

    def _open_socket(self) -> socket.socket:
        if self.sock is None:
            raise ProtocolError("the connection is closed")
        return self.sock

    def _left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


_SERVICE_READY, _READY_FOR_TLS, _COMPLETED = 220, 220, 250


class RelayUnavailable(Exception):
    """The message could not be sent, and the relay certainly did not accept it."""

    def __init__(self, phase: str, why: str, reply: Reply | None = None) -> None:
        super().__init__(f"{phase}: {why}")
        self.phase = phase
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Relay:
    """How to reach a relay. Times are seconds."""

    # smtp, smtps or lmtp.
    scheme: str

    host: str
    port: int
    ehlo: str
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    ca: str | None = None
    # Gets a token for the user, instead of a password (XOAUTH2).
    tokens: TokenSource | None = None
    connections: int = 5
    pipelining: bool = True
    # For connecting and each command (RFC 5321 4.5.3.2); DATA and each block of the body have less.
    timeout: float = 300.0
    # For the answer to the final dot. A shorter one causes duplicates (RFC 1047).
    dot_timeout: float = 600.0


def connect(relay: Relay) -> SmtpConnection:
    """Return a connection after TLS, EHLO and AUTH. Raises RelayUnavailable.

    If a cached token is refused, a new one is tried once: it may have been revoked.
    """
    if relay.tokens is None:
        return _connect(relay, "")
    kept = relay.tokens.kept()
    try:
        return _connect(relay, _token(relay.tokens))
    except RelayUnavailable as error:
        if error.phase != "AUTH":
            raise
        relay.tokens.forget()
        if not kept:
            raise
    return _connect(relay, _token(relay.tokens))


def _token(tokens: TokenSource) -> str:
    try:
        return tokens.token()
    except OSError:
        raise RelayUnavailable("TOKEN", "no token can be had") from None


def _connect(relay: Relay, token: str) -> SmtpConnection:
    connection = SmtpConnection(relay)
    try:
        _open(connection, relay, token)
    except (OSError, ProtocolError) as error:
        connection.close()
        if isinstance(error, ssl.SSLError):
            _trusting.cache_clear()  # the certificates that this machine trusts may have changed
        raise RelayUnavailable(connection.now, network_reason(error)) from None
    except RelayUnavailable:
        connection.close()
        raise
    return connection


def network_reason(error: Exception) -> str:
    """Describe an error without quoting the server."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is refused ({error.verify_message})"
    return str(error) if isinstance(error, ProtocolError) else type(error).__name__


def _open(connection: SmtpConnection, relay: Relay, token: str) -> None:
    connection.start_clock()
    connection.phase("CONNECT")
    connection.dial(relay.host, relay.port)
    if relay.tls == "implicit":
        connection.wrap(_context(relay), relay.host)
    _expect(_SERVICE_READY, "CONNECT", *connection.getreply())
    _greet(connection)
    if relay.tls == "starttls":
        connection.phase("STARTTLS")
        if not connection.has_extn("starttls"):
            raise ProtocolError("not offered")
        _expect(_READY_FOR_TLS, "STARTTLS", *connection.docmd("STARTTLS"))
        connection.wrap(_context(relay), relay.host)
        _greet(connection)
    if relay.username:
        _log_in(connection, relay, token)


def _context(relay: Relay) -> ssl.SSLContext:
    """Return the shared TLS context, made anew when the file of authorities changes."""
    return _trusting(relay.ca, Path(relay.ca).stat().st_mtime_ns if relay.ca else 0)


@lru_cache(maxsize=1)
def _trusting(ca: str | None, _changed_at: int) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _greet(connection: SmtpConnection) -> None:
    connection.phase(connection.ehlo_msg.upper())
    _expect(_COMPLETED, connection.now, *connection.ehlo())


def _log_in(connection: SmtpConnection, relay: Relay, token: str) -> None:
    """Try a single mechanism, once: each failed attempt may help to lock the account."""
    connection.phase("AUTH")
    connection.user, connection.password = relay.username, relay.password
    offered = connection.esmtp_features.get("auth", "").upper().split()
    try:
        if relay.tokens is not None:
            _show_token(connection, relay.username, token, offered)
        elif "PLAIN" in offered:
            connection.auth("PLAIN", connection.auth_plain)
        elif "LOGIN" in offered:
            connection.auth("LOGIN", connection.auth_login)
        else:
            raise ProtocolError("neither PLAIN nor LOGIN is offered")
    except smtplib.SMTPAuthenticationError as error:
        _expect(None, "AUTH", error.smtp_code, error.smtp_error)
    except ValueError:
        raise ProtocolError("a challenge that is not base64") from None


def _show_token(connection: SmtpConnection, user: str, token: str, offered: list[str]) -> None:
    if "XOAUTH2" not in offered:
        raise ProtocolError("XOAUTH2 is not offered")
    # A refusal comes as a challenge, which needs an empty answer before the relay says 535.
    said = bearer(user, token)
    connection.auth("XOAUTH2", lambda challenge=None: said if challenge is None else "")


def _expect(expected: int | None, phase: str, code: int, text: bytes | str) -> None:
    if code != expected:
        words = text if isinstance(text, str) else text.decode("utf-8", "replace")
        raise RelayUnavailable(phase, f"answered {code}", Reply(code, words, phase)) from None


def run_blocking(steps: SmtpSteps[T], beforehand: Callable[[], object]) -> T:
    """Run a coroutine on a blocking socket, calling `beforehand` before each step."""
    try:
        while True:
            beforehand()
            next(steps)
    except StopIteration as end:
        value: T = end.value
        return value
