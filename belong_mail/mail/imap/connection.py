"""Connect to an IMAP server by imaplib (RFC 3501), within bounds of time and size.

imaplib alone stores a literal of any announced size, and its timeouts restart with each byte.
`open`, `read`, `readline`, `send` and `shutdown` are its documented methods to override.
"""

import imaplib
import socket
import ssl
import time
from contextlib import suppress
from typing import Any, Final

from belong_mail.mail.bounces import MAX_OCTETS
from belong_mail.mail.http_call import cut_after
from belong_mail.mail.imap.location import MailboxLocation

# Seconds without a byte before the connection fails.
SILENCE_SECONDS: Final = 20.0
# Bytes of a line: enough for a SEARCH response with ten digits for each message.
MAX_LINE: Final = 128 * 1024
# Bytes of a server's whole response to one command.
MAX_ANSWER: Final = 4 * MAX_OCTETS


class ImapConnection(imaplib.IMAP4):
    """A connection that ends at its deadline, even if the server sends byte by byte.

    Raises OSError and `imaplib.IMAP4.error`.
    """

    def __init__(self, location: MailboxLocation, deadline: float) -> None:
        """Connect and read the greeting; the deadline is in monotonic time."""
        self._location, self._deadline, self._allowance = location, deadline, MAX_ANSWER
        super().__init__(location.host, location.port)

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        """Connect, by TLS unless the server is on this machine; the certificate is verified."""
        del timeout
        self.sock = socket.create_connection((host, port), SILENCE_SECONDS)
        if self._location.is_secure:
            context = ssl.create_default_context(cafile=self._location.ca)
            try:
                self.sock = context.wrap_socket(self.sock, server_hostname=host)
            except BaseException:
                self.sock.close()
                raise
        self._reader = self.sock.makefile("rb")
        self._cut = cut_after(self._deadline - time.monotonic(), self.sock)

    def read(self, size: int) -> bytes:
        if size > MAX_OCTETS:
            raise self.abort("a literal that nobody asked for")
        return self._counted(self._reader.read(size))

    def readline(self) -> bytes:
        """Read a line; imaplib refuses one without its end."""
        return self._counted(self._reader.readline(MAX_LINE))

    def send(self, data: Any) -> None:
        """Send a command or a part of one; its response may have MAX_ANSWER bytes."""
        self._allowance = MAX_ANSWER
        self.sock.sendall(data)

    def shutdown(self) -> None:
        self._cut.cancel()
        with suppress(OSError):
            self._reader.close()
            self.sock.close()

    def _counted(self, data: bytes) -> bytes:
        self._allowance -= len(data)
        if self._allowance < 0:
            raise self.abort("more than was asked for")
        return data
