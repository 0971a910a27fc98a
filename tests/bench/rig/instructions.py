"""Count the instructions of pages: valgrind's callgrind runs it for `tests/bench/test_pages.py`."""

import ctypes
import gc
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from werkzeug.test import create_environ, run_wsgi_app

from belong_mail.app import create_app
from config import Config
from tests.processes import ROOT

# Each page is opened so often before it counts, and so often while it does.
BEFORE, COUNTED = 5, 5
# What a program tells callgrind; elsewhere these do nothing.
SOURCE = """
#include <valgrind/callgrind.h>
void begin(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void end(char *page) { CALLGRIND_DUMP_STATS_AT(page); CALLGRIND_STOP_INSTRUMENTATION; }
"""


def count(
    folder: Path, settings: dict[str, str], pages: dict[str, tuple[str, str]]
) -> dict[str, float]:
    """Return the million instructions of each page by its name, given its path and cookies."""
    library = folder / "callgrind.so"
    build = ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)]
    subprocess.run(build, input=SOURCE, text=True, check=True)
    counted = f"--callgrind-out-file={folder}/counted"
    command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", counted, sys.executable, "-m"]
    subprocess.run(
        [*command, __name__, str(library), json.dumps(pages)],
        cwd=ROOT,
        env={**os.environ, **settings, "PYTHONHASHSEED": "0"},
        capture_output=True,
        check=True,
    )
    found = {}
    for file in folder.glob("counted.*"):
        lines = dict(line.partition(": ")[::2] for line in file.read_text().splitlines())
        found[lines["desc"].rpartition(": ")[2]] = int(lines["totals"]) / COUNTED / 1e6
    return found


def _open_all(library: ctypes.CDLL, pages: dict[str, tuple[str, str]]) -> None:
    app = create_app(Config.read(dict(os.environ)))
    gc.disable()
    for name, (path, cookies) in pages.items():
        environ = create_environ(path, "http://localhost:5000", headers={"Cookie": cookies})
        _open(app, environ, BEFORE)
        library.begin()
        statuses = _open(app, environ, COUNTED)
        library.end(name.encode())
        assert statuses == {"200 OK"}, (name, statuses)


def _open(app, environ: dict[str, Any], times: int) -> set[str]:
    """Open a page as a server does; return the statuses of its answers."""
    return {run_wsgi_app(app, dict(environ), buffered=True)[1] for _ in range(times)}


if __name__ == "__main__":
    _open_all(ctypes.CDLL(sys.argv[1]), json.loads(sys.argv[2]))
