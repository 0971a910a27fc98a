"""Serve HTTP on a free port of 127.0.0.1, and say nothing of it."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve until the block is left; yield the port."""
    quiet = type("Quiet", (handler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def form_of(request: BaseHTTPRequestHandler) -> dict[str, str]:
    length = int(request.headers.get("Content-Length", 0))
    return dict(parse_qsl(request.rfile.read(length).decode()))


def answer(
    request: BaseHTTPRequestHandler,
    status: int,
    said: Mapping[str, Any] | bytes,
    location: str = "",
    drip: float = 0.0,
) -> None:
    """Answer in JSON, perhaps with so many seconds between two octets."""
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    request.send_response(status)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    if location:
        request.send_header("Location", location)
    request.end_headers()
    for piece in map(bytes, zip(body, strict=True)) if drip else (body,):
        request.wfile.write(piece)
        time.sleep(drip)
