"""Replace the `flask worker` process by work.py, which loads nothing of the pages.

Also reads which command `flask` was asked for, before the app is loaded.
"""

import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from belong_mail.core.environment import ENTRY_POINTS

# Options of `flask` itself whose value stands apart.
WITH_VALUE = ("-A", "--app", "-e", "--env-file")
DRAIN = "--drain"
QUIET = "--quiet"
# No columns for tracebacks, which a worker does not write, and no docstrings: 4 MB less.
INTERPRETER_OPTIONS = ("-OO", "-X", "no_debug_ranges")
# For all threads: those that open connections would each begin a heap of their own.
ARENA_SETTING = {"MALLOC_ARENA_MAX": "1"}


def worker_arguments(arguments: Sequence[str]) -> list[str] | None:
    """Return what a worker is asked to do by the arguments of `flask`; None for all else.

    Whatever is unusual, such as `worker --help`, is left to the command in `cli`.
    """
    rest = command_arguments("worker", arguments)
    return rest if rest in ([], [DRAIN]) else None


def command_arguments(command: str, arguments: Sequence[str]) -> list[str] | None:
    """Return what stands behind a command in the arguments of `flask`; None for another command.

    `belong` takes the same arguments.
    """
    program, *rest = arguments
    if not {"flask", "belong"} & {Path(program).name, Path(program).parent.name}:
        return None
    while rest and rest[0].startswith("-"):
        if rest[0] == "--help":  # of `flask` itself, which asks nobody to run
            return None
        del rest[: 2 if rest[0] in WITH_VALUE else 1]
    return rest[1:] if rest[:1] == [command] else None


def exec_worker(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by a worker's, with the same id and settings."""
    program = [sys.executable, *INTERPRETER_OPTIONS, str(ENTRY_POINTS / "work.py"), *arguments]
    disable_core_dumps()
    environment = {**ARENA_SETTING, **os.environ}
    os.execve(sys.executable, program, environment)  # noqa: S606 - no shell, our own arguments


def disable_core_dumps() -> None:
    """Let a crash write no image of the memory, in which keys and addresses stand; for good."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
