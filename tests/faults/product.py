"""The `flask --app wsgi …` command as real processes, forked from one that has imported it.

A process of its own id, environment and connections, to kill at will, in a tenth of the time that
a fresh Python takes to import everything.
"""

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import NamedTemporaryFile

from flask.cli import main

from tests.processes import ROOT, SECONDS, surroundings

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["belong_mail.app", "config", "tests.faults.product"])
ONE_ASKS = threading.Lock()
"""`multiprocessing` reads how a child ended once: two threads that ask at a time see code 255."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: an exit code (-9 when it was killed) and what it said."""

    code: int
    said: str


class Command:
    """A command that runs."""

    def __init__(self, process: ForkServerProcess, output: Path) -> None:
        self._process = process
        self._output = output

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def is_running(self) -> bool:
        with ONE_ASKS:
            return self._process.is_alive()

    def kill(self) -> None:
        """Kill it, as the machine does when memory runs out."""
        self._process.kill()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def said(self) -> str:
        return self._output.read_text()

    def wait(self, seconds: float = SECONDS) -> Ended:
        """Wait for its end, or kill it and raise TimeoutError with what it said."""
        if not wait_for([self._process.sentinel], seconds):
            self._process.kill()
            raise TimeoutError(f"It did not end within {seconds} seconds: {self.said()}")
        with ONE_ASKS:
            self._process.join()
            return Ended(self._process.exitcode or 0, self.said())


@contextmanager
def running(settings: Mapping[str, str], *arguments: str) -> Iterator[Command]:
    """Run a command of ours until the block is left, then kill it."""
    with NamedTemporaryFile(prefix="belong-", suffix=".out") as output:
        env = surroundings(settings)
        process = FORKS.Process(target=_become, args=(env, arguments, output.name), daemon=True)
        with ONE_ASKS:
            process.start()
        try:
            yield Command(process, Path(output.name))
        finally:
            process.kill()
            wait_for([process.sentinel])
            with ONE_ASKS:
                process.join()
                process.close()


def run(settings: Mapping[str, str], *arguments: str, seconds: float = SECONDS) -> Ended:
    """Run a command of ours to its end."""
    with running(settings, *arguments) as command:
        return command.wait(seconds)


def drain(settings: Mapping[str, str], seconds: float = SECONDS) -> str:
    """Let a worker do all that is due; return what it says waits for later."""
    ended = run(settings, "worker", "--drain", seconds=seconds)
    assert ended.code == 0, ended
    return ended.said.splitlines()[-1]


def report(settings: Mapping[str, str], issue: str) -> dict[str, int]:
    """Read an issue's books."""
    ended = run(settings, "newsletter", "report", issue, "--json")
    assert ended.code == 0, ended
    counts: dict[str, int] = json.loads(ended.said)
    return counts


def wait_until(settings: Mapping[str, str], issue: str, **least: int) -> dict[str, int]:
    """Read the books until each of these counts is reached, or raise TimeoutError."""
    until = time.monotonic() + SECONDS
    while True:
        counts = report(settings, issue)
        if all(counts[name] >= number for name, number in least.items()):
            return counts
        if time.monotonic() > until:
            raise TimeoutError(f"{counts} did not become {least}.")


def _become(env: Mapping[str, str], arguments: tuple[str, ...], output: str) -> None:
    """In the child: be `flask --app wsgi` with these arguments."""
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["flask", "--app", "wsgi", *arguments]
    main()
