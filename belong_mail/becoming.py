"""A worker loads none of the pages: the process that is asked for one becomes another program."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
WITH_VALUE = ("-A", "--app", "-e", "--env-file")
"""Options of `flask` itself whose value stands apart."""
DRAIN = "--drain"
SMALL = ("-X", "no_debug_ranges")
"""No columns for tracebacks, which a worker does not write."""
ONE_HEAP = {"MALLOC_ARENA_MAX": "1"}
"""For all threads: those that open connections would each begin a heap of their own."""


def wanted(arguments: Sequence[str]) -> list[str] | None:
    """Return what a worker is asked to do by the arguments of `flask`; None for all else.

    Whatever is unusual, such as `worker --help`, is left to the command in `cli`.
    """
    program, *rest = arguments
    if "flask" not in (Path(program).name, Path(program).parent.name):
        return None
    while rest and rest[0].startswith("-"):
        del rest[: 2 if rest[0] in WITH_VALUE else 1]
    return rest[1:] if rest in (["worker"], ["worker", DRAIN]) else None


def become_worker(arguments: Sequence[str]) -> NoReturn:
    """Be a worker from here on, with the same id and the same settings."""
    program = [sys.executable, *SMALL, str(ROOT / "work.py"), *arguments]
    environment = {**ONE_HEAP, **os.environ}
    os.execve(sys.executable, program, environment)  # noqa: S606 - no shell, our own arguments
