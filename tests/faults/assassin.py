"""Kills a worker when the relay reads a verb, or has answered it, for the n-th time."""

import os
import signal
import threading
from contextlib import suppress

from tests.faults.product import Command
from tests.processes import SECONDS


class Assassin:
    """A hook for `Server.on` and an action for `Server.script`: kill -9, at the n-th call, once."""

    def __init__(self, nth: int = 1) -> None:
        self._calls_left = nth
        self._lock = threading.Lock()
        self._victim: Command | None = None
        self._has_aimed = threading.Event()
        self.has_killed = threading.Event()

    def aim(self, victim: Command) -> None:
        self._victim = victim
        self._has_aimed.set()

    def __call__(self, _moment: object) -> None:
        with self._lock:
            self._calls_left -= 1
            is_time = self._calls_left == 0
        if is_time and self._has_aimed.wait(SECONDS) and self._victim is not None:
            with suppress(ProcessLookupError):
                os.kill(self._victim.pid, signal.SIGKILL)
            self.has_killed.set()
