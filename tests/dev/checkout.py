"""A copy of the project, or of dev.py alone, on a machine that has next to nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "var", "__pycache__", ".*_cache", ".env")


def pythons() -> list[str]:
    """Return this Python and, where the system has another that serves, that one too."""
    own = sys.version_info.minor
    other = [f"/usr/bin/python3.{minor}" for minor in range(11, 20) if minor != own]
    found = [python for python in other if Path(python).exists()]
    return [str(Path(sys.base_prefix) / "bin" / f"python3.{own}"), *found][:2]


SITE = """
import os, sys
if "HIDE_PIP" in os.environ and sys.prefix == sys.base_prefix:
    sys.modules["pip"] = None
if "SLOW_PIP" in os.environ and "install" in sys.orig_argv:
    import pathlib, time

    pathlib.Path(".venv/half").touch()
    pathlib.Path("var/pip.pid").write_text(f"{os.getpid()}\\n")
    time.sleep(60)
"""


class Checkout:
    """Where `dev.py` is called: with a fresh HOME, an empty PATH and no settings."""

    def __init__(self, folder: Path, python: str) -> None:
        self.root = folder / "checkout"
        self.python = python
        self.programs = folder / "bin"
        home, hiding = folder / "home", folder / "hiding"
        for each in (self.programs, home, hiding):
            each.mkdir(parents=True)
        (hiding / "sitecustomize.py").write_text(SITE)
        self.env = {
            "HOME": str(home),
            "PATH": str(self.programs),
            "PYTHONPATH": str(hiding),
        }

    def dev(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Call dev.py and wait for its end."""
        process = self.start(*arguments, **env)
        said, _ = process.communicate(timeout=100)
        return subprocess.CompletedProcess(arguments, process.returncode, said)

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.python, str(self.root / "dev.py"), *arguments],
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def noted(self, name: str) -> dict[str, Any]:
        """Wait for what the stand-in writes down."""
        file = self.root / "var" / f"{name}.json"
        wait_until(file.exists)
        facts: dict[str, Any] = json.loads(file.read_text())
        return facts

    def forget(self) -> None:
        for file in (self.root / "var").glob("*.json"):
            file.unlink()


def copy_project(checkout: Checkout) -> None:
    """Copy what a clone would hold."""
    shutil.copytree(ROOT, checkout.root, ignore=NOT_COPIED)


def copy_dev_alone(checkout: Checkout, locks: Mapping[str, str]) -> None:
    (checkout.root / "requirements").mkdir(parents=True)
    shutil.copy(ROOT / "dev.py", checkout.root)
    for name, text in locks.items():
        (checkout.root / "requirements" / f"{name}.txt").write_text(text)


def is_alive(pid: int) -> bool:
    """Tell, on Linux, whether a process runs; one that waits to be collected does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def words_until(process: subprocess.Popen[str], last_line: str) -> str:
    """Return what a process says up to a line; should it end before, fail with all of it."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line == f"{last_line}\n":
            return said
    process.wait(60)
    raise AssertionError(f"It ended (status {process.returncode}) after saying: {said}")


def end(process: subprocess.Popen[str]) -> str:
    """Press Ctrl-C, in effect; return all that was said."""
    os.kill(process.pid, signal.SIGINT)
    return process.communicate(timeout=60)[0]
