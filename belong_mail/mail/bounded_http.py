"""Call one address by HTTP within a bounded time, and read a bounded answer."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Final
from urllib.parse import urlsplit

# Seconds in which the other side must have answered.
CALL_SECONDS: Final = 20.0


@contextmanager
def connected(url: str) -> Iterator[http.client.HTTPConnection]:
    """Connect, and cut the connection when its time is over, also between two octets."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=CALL_SECONDS, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=CALL_SECONDS)
    connection.connect()
    cut = Timer(CALL_SECONDS, _cut, (connection.sock,))
    cut.daemon = True
    cut.start()
    try:
        yield connection
    finally:
        cut.cancel()
        connection.close()


def _cut(connected: socket.socket) -> None:
    """Wake whoever reads from a connection: nothing more comes."""
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
