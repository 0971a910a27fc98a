"""Protect the keys and addresses in a process's memory."""

import ctypes
import resource

# The option of prctl(2).
SET_DUMPABLE = 4


def disable_core_dumps() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def hide() -> None:
    """Hide memory and environment from other processes of the same user, until an exec."""
    ctypes.CDLL(None).prctl(SET_DUMPABLE, 0, 0, 0, 0)
