"""Make an HTTP request that ends within a given time, whatever the server does."""

import http.client
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Timer
from urllib.parse import urlsplit


def call(
    method: str, url: str, headers: Mapping[str, str], body: str, *, seconds: float, most: int
) -> tuple[int, bytes]:
    """Request a URL without following redirects; return status and body.

    Cuts a body after `most` + 1 bytes. Raises OSError, HTTPException and ValueError.
    """
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with _connection(url, seconds) as connection:
        connection.request(method, path, body or None, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read(most + 1)


@contextmanager
def _connection(url: str, seconds: float) -> Iterator[http.client.HTTPConnection]:
    """Connect, and shut the socket down when the time is over, even in the middle of a response."""
    parts = urlsplit(url)
    is_secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=seconds)
    connection.connect()
    cut = cut_after(seconds, connection.sock)
    try:
        yield connection
    finally:
        cut.cancel()
        connection.close()


def cut_after(seconds: float, connected: socket.socket) -> Timer:
    """Start a timer that wakes a reader as if the server had closed the connection."""
    cut = Timer(seconds, _cut, (connected,))
    cut.daemon = True
    cut.start()
    return cut


def _cut(connected: socket.socket) -> None:
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
