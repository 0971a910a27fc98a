"""Ports for servers that must be told one: nobody takes it between the look and the use."""

import itertools
import os
import socket
from contextlib import suppress

# All below 32,768, from where on the system gives ports away by itself.
FIRST, EACH, PROCESSES = 20_000, 100, 120
OWN = FIRST + os.getpid() % PROCESSES * EACH
IN_TURN = itertools.cycle(range(OWN, OWN + EACH))


def free_port() -> int:
    """Return the next port of this test process's own range that is free."""
    for port in itertools.islice(IN_TURN, EACH):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise RuntimeError(f"No port from {OWN} to {OWN + EACH} is free.")
