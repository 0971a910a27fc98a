"""The `flask --app wsgi …` command as real processes, to kill at will."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from tempfile import NamedTemporaryFile

from tests.processes import ONE_ASKS, SECONDS, ended, fork, run


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

    def wait(self, seconds: float = SECONDS) -> int:
        """Return the exit code, -9 when it was killed; raise TimeoutError with what it said."""
        if not wait_for([self._process.sentinel], seconds):
            self._process.kill()
            raise TimeoutError(self._output.read_text())
        with ONE_ASKS:
            self._process.join()
            return self._process.exitcode or 0


@contextmanager
def running(settings: Mapping[str, str], *arguments: str) -> Iterator[Command]:
    """Run a command of ours until the block is left, then kill it."""
    with NamedTemporaryFile(prefix="belong-", suffix=".out") as output:
        file = Path(output.name)
        process = fork(settings, arguments, file, file)
        try:
            yield Command(process, file)
        finally:
            ended(process)


def drain(settings: Mapping[str, str]) -> str:
    """Let a worker do all that is due; return what it says waits for later."""
    done = run(settings, "worker", "--drain")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def report(settings: Mapping[str, str], issue: str) -> dict[str, int]:
    """Read an issue's books."""
    counts: dict[str, int] = json.loads(
        run(settings, "newsletter", "report", issue, "--json").stdout
    )
    return counts
