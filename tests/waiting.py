"""Waiting for what another thread or process does."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress


def wait_until(
    is_so: Callable[[], object], words: Callable[[], str] = str, seconds: float = 60.0
) -> None:
    """Ask again and again; a connection that is refused is no answer yet."""
    until = time.monotonic() + seconds
    while True:
        with suppress(OSError):
            if is_so():
                return
        if time.monotonic() > until:
            raise TimeoutError(words())
        time.sleep(0.05)


def listens(port: int, host: str = "127.0.0.1") -> bool:
    with suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False
