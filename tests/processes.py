"""The product's commands as processes of their own, with the settings of a test."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from runpy import run_path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from flask.cli import main

from belong_mail.core import memory
from dev import end_with_parent
from tests.waiting import ENDS_WITH_US, wait_until

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 60
# Compiled once for all processes, and not beside the sources: a fifth of a start.
BYTECODE = ROOT / "var" / "bytecode"
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["belong_mail.app", "belong_mail.worker.process", "belong_mail.core.postgresql", "config",
     "tests.processes", "tests.warm"]
)  # fmt: skip
# `multiprocessing` reads how a child ended once: two threads that ask at a time see code 255.
ONE_ASKS = threading.Lock()


def flask(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]


def complaints_in(said: str) -> str:
    """Return what a process said, without what it only reports."""
    return "".join(each for each in said.splitlines(keepends=True) if " INFO " not in each)


def surroundings(settings: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BELONG_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, "FLASK_SKIP_DOTENV": "1", "PYTHONPYCACHEPREFIX": str(BYTECODE), **settings}


def run(
    settings: Mapping[str, str], *arguments: str, seconds: float = SECONDS
) -> subprocess.CompletedProcess[str]:
    with TemporaryDirectory(prefix="belong-") as folder:
        said, complained = Path(folder, "out"), Path(folder, "err")
        process = fork(settings, arguments, said, complained)
        try:
            if not wait_for([process.sentinel], seconds):
                raise subprocess.TimeoutExpired(arguments, seconds, said.read_bytes())
        finally:
            code = ended(process)
        return subprocess.CompletedProcess(
            arguments, code, said.read_text(), complained.read_text()
        )


def drain(settings: Mapping[str, str]) -> str:
    """Let a worker do all that is due; return what it says waits for later."""
    done = run(settings, "worker", "--drain")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def feed(
    settings: Mapping[str, str], message: bytes, *arguments: str, program: Sequence[str] = ()
) -> subprocess.CompletedProcess[bytes]:
    """Run a command of ours, or a program, that reads a message as a mail server's pipe does."""
    return subprocess.run(
        [*program, *arguments] if program else flask(*arguments),
        cwd=ROOT,
        env=surroundings(settings),
        input=message,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )


def fork(
    settings: Mapping[str, str],
    arguments: tuple[str, ...],
    said: str | Path,
    complained: str | Path,
    typed: str | Path = os.devnull,
) -> ForkServerProcess:
    """Start a command of ours, forked from a process that has imported it.

    It has an id, an environment and connections of its own, in a tenth of the time that a fresh
    Python takes to import everything. So has a worker, which would become a fresh Python: that it
    does is tried where `started` starts it.
    """
    given = (surroundings(settings), arguments, str(typed), str(said), str(complained))
    process = FORKS.Process(target=_become, args=given, daemon=True)
    with ONE_ASKS:
        process.start()
    return process


def ended(process: ForkServerProcess) -> int:
    """Kill a forked command unless it has ended; return its exit code, and forget it."""
    process.kill()
    wait_for([process.sentinel])
    with ONE_ASKS:
        process.join()
        code = process.exitcode or 0
        process.close()
    return code


def _become(env: Mapping[str, str], arguments: tuple[str, ...], *standard: str) -> None:
    """In the child: be `flask --app wsgi` with these arguments, or the worker that it becomes.

    It reads and writes these three files, leads a group of its own, and ends with the test process.
    """
    os.setsid()
    # The fork server ends when nobody holds this any more, and we end with it.
    os.close(vars(forkserver._forkserver)["_forkserver_alive_fd"])
    end_with_parent()
    for number, file in enumerate(standard):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND if number else os.O_RDONLY
        opened = os.open(file, flags)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0)  # in place of the one that `multiprocessing` has closed
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["flask", "--app", "wsgi", *arguments]
    if arguments[0] == "worker" and set(arguments) <= {"worker", "--drain"}:
        memory.disable_core_dumps()
        sys.argv = [str(ROOT / "work.py"), *arguments[1:]]
        run_path(sys.argv[0], run_name="__main__")
    else:
        main()


class Forked:
    """A command that was forked, with the verbs of `subprocess.Popen`."""

    def __init__(self, process: ForkServerProcess, output: Path) -> None:
        self._process, self._output = process, output
        self.pid = process.pid or 0
        self.returncode: int | None = None

    def said(self) -> str:
        return self._output.read_text()

    def poll(self) -> int | None:
        with ONE_ASKS:
            if self.returncode is None and not self._process.is_alive():
                self.returncode = self._process.exitcode
        return self.returncode

    def wait(self, timeout: float = SECONDS) -> int:
        """Return the exit code, -9 when it was killed; raise TimeoutError with what it said."""
        if not wait_for([self._process.sentinel], timeout):
            raise TimeoutError(self.said())
        return self.poll() or 0

    def communicate(self, timeout: float = SECONDS) -> tuple[str, None]:
        self.wait(timeout)
        return self.said(), None

    def send_signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@contextmanager
def running(settings: Mapping[str, str], *arguments: str) -> Iterator[Forked]:
    """Fork a command of ours, and kill it when the block is left."""
    with TemporaryDirectory(prefix="belong-") as folder:
        output = Path(folder, "out")
        output.touch()
        process = fork(settings, arguments, output, output)
        try:
            yield Forked(process, output)
        finally:
            ended(process)


@contextmanager
def started(settings: Mapping[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a command of ours in a fresh Python; kill it and its children in the end."""
    process = subprocess.Popen(
        [*ENDS_WITH_US, *flask(*arguments)],
        cwd=ROOT,
        env=surroundings(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_until_served(port: int) -> None:
    wait_until(lambda: urlopen(f"http://127.0.0.1:{port}/healthz", timeout=20).close() is None)


def is_ready_to_end(pid: int) -> bool:
    """Tell, on Linux, whether a process handles SIGTERM; while it starts, the signal ends it."""
    caught = Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()[0]
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)
