"""Waiting for what another thread or process does."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

SECONDS = 60
# A test process that crashes ends what it started: the kernel tells it (util-linux).
ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--") if shutil.which("setpriv") else ()


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


@contextmanager
def daemon(
    *command: str | Path, ports: Collection[int] = (), log: Path = Path(os.devnull), **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block is left; it has to answer on its ports, and to end when told."""
    with log.open("ab") as words:
        process = subprocess.Popen(
            [*ENDS_WITH_US, *map(str, command)],
            stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True, **options,
        )  # fmt: skip
    try:
        wait_until(lambda: all(map(listens, ports)), log.read_text)
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[Any]) -> None:
    """Tell a process to end; after a while, and whatever it has started, kill it."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
