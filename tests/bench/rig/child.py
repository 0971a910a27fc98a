"""A process and what it cost: CPU by wait4, peak memory by /proc."""

import os
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.rig.tools import ROOT
from tests.waiting import daemon, end

# Seconds between two looks at a process.
LOOK_EVERY = 0.02
# Cores: the one that is measured has its own, where there are two.
SENDER, SINK = 1, 0


class Failed(Exception):
    """A process ended badly; says how, with its last words."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a process and its children: seconds by the clock and of CPU, octets at most."""

    seconds: float
    cpu: float
    peak: int


def pin(process_id: int, core: int) -> None:
    """Keep a process on a core, where the system lets us and has as many."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > max(SENDER, SINK):
        with suppress(OSError):
            os.sched_setaffinity(process_id, {core})


def run(
    command: Sequence[str],
    env: Mapping[str, str],
    *,
    limit: float = 1800.0,
    look: Callable[[], object] = bool,
) -> Cost:
    """Run a command to its good end and measure it; `look` is called while it runs."""
    with tempfile.TemporaryFile() as words:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=words, stderr=words,
            start_new_session=True,
        )  # fmt: skip
        try:
            pin(process.pid, SENDER)
            peak, status, usage = _watch(process.pid, began + limit, look)
        except BaseException:
            end(process)
            raise
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            words.seek(0)
            said = words.read().decode(errors="replace")[-2000:]
            raise Failed(f"{' '.join(command)[-200:]} ended with {process.returncode}: {said}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak)


def _watch(
    process_id: int, until: float, look: Callable[[], object]
) -> tuple[int, int, resource.struct_rusage]:
    """Look at a process until it ends; return its peak, its status and what it used."""
    peak = 0
    while True:
        ended, status, usage = os.wait4(process_id, os.WNOHANG)
        if ended:
            return peak, status, usage
        peak = max(peak, peak_of(process_id))
        look()
        if time.perf_counter() > until:
            raise Failed("A process did not end in time.")
        time.sleep(LOOK_EVERY)


@contextmanager
def running(
    command: Sequence[str], env: Mapping[str, str], *, core: int | None = None, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    with daemon(*command, env=env, cwd=ROOT, **options) as process:
        if core is not None:
            pin(process.pid, core)
        yield process


def peak_of(process_id: int) -> int:
    """Return the most memory that a process has held, in octets; 0 where nobody tells."""
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process_id}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0
