"""The product's commands as processes of their own, with the settings of a test."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 60


def flask(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]


def surroundings(settings: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BELONG_")}
    return {**kept, "FLASK_SKIP_DOTENV": "1", "PYTHONDONTWRITEBYTECODE": "1", **settings}


def run(settings: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours to its end."""
    return subprocess.run(
        flask(*arguments),
        cwd=ROOT,
        env=surroundings(settings),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@contextmanager
def running(settings: Mapping[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command of ours until the block is left, then kill it and its children."""
    process = subprocess.Popen(
        flask(*arguments),
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
