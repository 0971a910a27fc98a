"""Protect a process's memory, with its keys and addresses, from files and other processes."""

import ctypes
import resource

# Numbers of the system call `prctl`.
SET_DUMPABLE = 4


def disable_core_dumps() -> None:
    """Prevent core dumps."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def hide() -> None:
    """Keep other processes of this user from this one's memory and environment, until it execs."""
    ctypes.CDLL(None).prctl(SET_DUMPABLE, 0, 0, 0, 0)
