"""Call one HTTP URL within a time, whatever the other side does."""

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Timer
from urllib.parse import urlsplit


def call(
    method: str, url: str, headers: Mapping[str, str], body: str, *, seconds: float, most: int
) -> tuple[int, bytes]:
    """Return the status and content of one URL, without following redirects.

    Content longer than `most` bytes is cut to one byte more. Raises OSError, HTTPException and
    ValueError.
    """
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with _connection(url, seconds) as connection:
        connection.request(method, path, body or None, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read(most + 1)


@contextmanager
def _connection(url: str, seconds: float) -> Iterator[http.client.HTTPConnection]:
    """Connect, and cut the connection when its time is over, even between two bytes."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=seconds)
    connection.connect()
    cut = Timer(seconds, _cut, (connection.sock,))
    cut.daemon = True
    cut.start()
    try:
        yield connection
    finally:
        cut.cancel()
        connection.close()


def _cut(connected: socket.socket) -> None:
    """End the wait of a reader: nothing more comes."""
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
