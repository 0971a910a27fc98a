"""Connect to an IMAP server: imaplib's grammar (RFC 3501) over our own bounded reader.

imaplib alone stores a literal of any announced size, and its timeouts restart with each byte.
`open`, `read`, `readline`, `send` and `shutdown` are its documented methods to override.
"""

import imaplib
import socket
import ssl
import time
from contextlib import suppress
from typing import Any, Final, NoReturn

from belong_mail.mail.bounces import MAX_OCTETS
from belong_mail.mail.imap.location import MailboxLocation

# Seconds without a byte before the connection fails.
SILENCE_SECONDS: Final = 20.0
# Bytes of a line: enough for a SEARCH response with ten digits for each message.
MAX_LINE: Final = 128 * 1024
# Bytes of a server's whole response to one command.
MAX_ANSWER: Final = 4 * MAX_OCTETS
_CHUNK: Final = 64 * 1024


class ImapConnection(imaplib.IMAP4):
    """A connection that ends at its deadline, even if the server sends byte by byte.

    Raises OSError and `imaplib.IMAP4.error`.
    """

    def __init__(self, location: MailboxLocation, deadline: float) -> None:
        """Connect and read the greeting; the deadline is in monotonic time."""
        self._location = location
        self.deadline = deadline
        self._unread = bytearray()
        self._allowance = MAX_ANSWER
        super().__init__(location.host, location.port)

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        """Connect, by TLS unless the server is on this machine; the certificate is verified."""
        del timeout
        self.host, self.port = host, port
        self.sock = socket.create_connection((host, port), self._seconds_left())
        if self._location.is_secure:
            context = ssl.create_default_context(cafile=self._location.ca)
            try:
                self.sock.settimeout(self._seconds_left())
                self.sock = context.wrap_socket(self.sock, server_hostname=host)
            except BaseException:
                self.sock.close()
                raise

    def read(self, size: int) -> bytes:
        if size > MAX_OCTETS:
            self._refuse("a literal that nobody asked for")
        while len(self._unread) < size:
            self._receive()
        return self._take(size)

    def readline(self) -> bytes:
        seen = 0
        while (end := self._unread.find(b"\n", seen)) < 0:
            seen = len(self._unread)
            if seen > MAX_LINE:
                self._refuse("a line without end")
            self._receive()
        return self._take(end + 1)

    def send(self, data: Any) -> None:
        """Send a command or a part of one; its response may have MAX_ANSWER bytes."""
        self._allowance = MAX_ANSWER
        self.sock.settimeout(self._seconds_left())
        self.sock.sendall(data)

    def shutdown(self) -> None:
        with suppress(OSError):
            self.sock.close()

    def _take(self, size: int) -> bytes:
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        return taken

    def _receive(self) -> None:
        self.sock.settimeout(self._seconds_left())
        data = self.sock.recv(_CHUNK)
        self._allowance -= len(data)
        if not data:
            self._refuse("the end of the connection")
        if self._allowance < 0:
            self._refuse("more than was asked for")
        self._unread += data

    def _seconds_left(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, SILENCE_SECONDS)

    def _refuse(self, what: str) -> NoReturn:
        raise self.abort(what)
