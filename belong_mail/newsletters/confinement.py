"""Read somebody's file in a child process: whatever it does to its reader, no page breaks.

The child gets the octets and nothing else: no environment, so no keys; bounds of memory, time and
output; no file and no connection can be opened once it reads the file, and where the kernel filters
system calls, nothing else be asked of it either. One child runs at a time.
"""

import ctypes
import json
import os
import platform
import resource
import signal
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from subprocess import DEVNULL, PIPE, Popen
from threading import Lock, Timer
from typing import Any, ClassVar, Final

from belong_mail.core.environment import LIBRARY

# For which a file waits for another: it holds a thread meanwhile, and there are two for all.
WAIT_SECONDS: Final = 1.0
# Octets that are read of a child.
MAX_ANSWER: Final = 8_000_000
# Octets of memory, seconds of the processor; no dump, no file written, and with no descriptor
# left to give away neither a file nor a connection is opened.
LIMITS: Final = (
    (resource.RLIMIT_AS, 768 * 1024 * 1024),
    (resource.RLIMIT_CPU, 20),
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_FSIZE, 0),
    (resource.RLIMIT_NOFILE, 0),
)
# The system calls that reading a file takes, by their numbers on x86-64 and on ARM64.
SYSTEM_CALLS: Final = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214),
    "mremap": (25, 216), "madvise": (28, 233), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sched_yield": (24, 124),
    "futex": (202, 98), "clock_gettime": (228, 113), "getrandom": (318, 278),
    "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
# By what the machine is called: which of the two, and the number that the kernel has for it.
MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
# Numbers of the system call `prctl`.
NO_NEW_PRIVILEGES, SET_FILTER, FILTER_MODE = 38, 22, 2
# A filter in BPF (linux/filter.h) loads a word of what is asked, jumps where it equals another, and
# returns: do it, or EPERM. At 0 stands the call's number, at 4 the machine's.
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
CALL, ARCHITECTURE = 0, 4
ALLOWED, REFUSED = 0x7FFF0000, 0x00050001


_one_at_a_time = Lock()


class RefusedFile(ValueError):
    """Says in a reader's words, to be translated, why a file is not taken."""

    refusals: ClassVar[Mapping[str, str]]

    def __init__(self, reason: str) -> None:
        super().__init__(self.refusals[reason])
        self.reason = reason


def ask_alone(
    file: bytes, command: Sequence[str], seconds: float, refused: type[RefusedFile]
) -> bytes:
    """Ask a child about a file while no other one runs."""
    if not _one_at_a_time.acquire(timeout=WAIT_SECONDS):
        raise refused("busy")
    try:
        return ask(file, command, seconds)
    finally:
        _one_at_a_time.release()


def read_answer(
    answer: bytes, refused: type[RefusedFile], names: Sequence[str]
) -> tuple[list[Any], bytes]:
    """Return how a child describes what it made, under these names, and that; or why it is none."""
    line, _, content = answer.partition(b"\n")
    try:
        said = json.loads(line)
        reason = said.get("refused")
    except (AttributeError, UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        raise refused("damaged") from error
    if "refused" in said:
        raise refused(reason if reason in tuple(refused.refusals) else "damaged")
    try:
        return [said[name] for name in names], content
    except KeyError as error:
        raise refused("damaged") from error


def ask(file: bytes, command: Sequence[str], seconds: float) -> bytes:
    """Give a file to a child and return what it says within a time, and at most MAX_ANSWER."""
    with Popen(  # noqa: S603 - no shell, our own command
        command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        cwd=LIBRARY,
        env={},
        start_new_session=True,
    ) as child:
        alarm = Timer(seconds, end, (child,))
        alarm.start()
        try:
            assert child.stdin is not None and child.stdout is not None  # noqa: S101, PT018 - pipes
            with suppress(BrokenPipeError):
                child.stdin.write(file)
                child.stdin.close()
            return child.stdout.read(MAX_ANSWER)
        finally:
            alarm.cancel()
            end(child)


def end(child: Popen[bytes]) -> None:
    """Kill a child, and what it may have started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def confine() -> None:
    """Give up, in the child, what reading a file does not need; nothing gives it back."""
    for limit, most in LIMITS:
        resource.setrlimit(limit, (most, most))
    filter_system_calls()


def filter_system_calls() -> bool:
    """Have the kernel refuse all but SYSTEM_CALLS (seccomp(2)), and tell whether it does.

    Without it the child could remove a file, signal its user's processes and read their memory.
    """
    if platform.machine() not in MACHINES:
        return False
    column, architecture = MACHINES[platform.machine()]
    allowed = [numbers[column] for numbers in SYSTEM_CALLS.values()]
    steps = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_IF_EQUAL, 0, len(allowed) + 1, architecture),
        (LOAD, 0, 0, CALL),
        *((JUMP_IF_EQUAL, len(allowed) - at, 0, call) for at, call in enumerate(allowed)),
        (RETURN, 0, 0, REFUSED),
        (RETURN, 0, 0, ALLOWED),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HP", len(steps), ctypes.addressof(code))
    prctl = ctypes.CDLL(None).prctl
    is_bound = prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
    return bool(is_bound and prctl(SET_FILTER, FILTER_MODE, program, 0, 0) == 0)
