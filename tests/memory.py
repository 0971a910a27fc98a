"""Where tests keep their files: in memory, for they would wait for a disk a third of their time."""

import os
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - tests alone, each in a folder of its own
# Octets that must be free: two databases' servers, and the files of tests that failed.
ROOM = 3 << 30


def keep_in_memory() -> None:
    """Let temporary files of this process and its children be in memory, unless told otherwise.

    It must have room, and let what tests compile be executed: a container's often has neither.
    """
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    found = os.statvfs(MEMORY)
    if found.f_bavail * found.f_frsize >= ROOM and not found.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None
