"""Keep the memory of a process, with its keys and addresses, from files and other processes."""

import ctypes
import resource

# Numbers of the system call `prctl`.
SET_DUMPABLE = 4


def disable_core_dumps() -> None:
    """Let a crash write no image of the memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def hide() -> None:
    """Let no other process of this user read this one's memory or environment, until it execs."""
    ctypes.CDLL(None).prctl(SET_DUMPABLE, 0, 0, 0, 0)
