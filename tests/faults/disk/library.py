"""The C library between a program and its disk: built here, loaded before Python's own SQLite."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("faulty.c")
ROOT = SOURCE.parents[3]
SECONDS_TO_RUN = 400
COMPILER = shutil.which("cc") or shutil.which("gcc")


def build(folder: Path) -> Path:
    """Compile the library into a folder and return its file."""
    library = folder / "faulty.so"
    options = ("-shared", "-fPIC", "-O1", "-Wall", "-Werror")
    subprocess.run([str(COMPILER), *options, "-o", library, SOURCE, "-ldl"], check=True)
    return library


def run(library, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `errors` as a process whose disk is the library's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BELONG_")}
    environment = {**kept, "LD_PRELOAD": str(library), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "tests.faults.disk.errors", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS_TO_RUN,
        check=False,
    )


class Disk:
    """The library's controls, from within the process that it was loaded into."""

    def __init__(self, watched: Path) -> None:
        """Look at all files whose path begins so, from now on."""
        self._library = ctypes.CDLL(None)
        self._library.faulty_calls.restype = ctypes.c_long
        self._library.faulty_watch(str(watched).encode())
        self.heal()

    def fail(self, number: int, error: int, *, for_good: bool) -> None:
        """Let the n-th write, truncation or sync from now on fail, once or with all after it."""
        self._library.faulty_arm(ctypes.c_long(number), error, int(for_good))

    def heal(self) -> int:
        """Let all succeed again; return how many calls there were since `fail`."""
        calls: int = self._library.faulty_calls()
        self._library.faulty_arm(ctypes.c_long(0), 0, 0)
        return calls
