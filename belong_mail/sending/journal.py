"""What a worker has in flight, known after any kill: a mark before each final dot, one after.

Marks are appended to a local file without waiting for the disk: they outlive the process, not a
power cut, after which the database's word stands (`claims.recover`).
"""

import errno
import os
import threading
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path
from typing import Final

MARK: Final = 8
"""Octets: seven of the delivery's id, one of what happened."""
LARGEST: Final = 1 << 18
"""Octets after which the journal begins anew with what is still open."""


class Mark(IntEnum):
    DOT = 1
    """The final dot may leave now."""
    ACCEPTED = 2
    REFUSED = 3


class Journal:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._open: dict[int, Mark] = {}
        self._size = 0
        self._fd = _create(file)

    def write(self, delivery_id: int, mark: Mark) -> None:
        """Append a mark, or raise OSError and leave the journal whole."""
        data = (delivery_id << 8 | mark).to_bytes(MARK)
        with self._lock:
            if os.write(self._fd, data) != MARK:
                os.ftruncate(self._fd, self._size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._size += MARK
            self._open[delivery_id] = mark

    def forget(self, delivery_ids: Iterable[int]) -> None:
        """Let go of deliveries whose outcome the database has."""
        with self._lock:
            for delivery_id in delivery_ids:
                self._open.pop(delivery_id, None)
            if self._size > LARGEST:
                self._begin_anew()

    def end(self) -> None:
        os.close(self._fd)
        self._file.unlink(missing_ok=True)

    def _begin_anew(self) -> None:
        unfinished = self._file.with_suffix(".part")
        fd = _create(unfinished)
        data = b"".join((number << 8 | mark).to_bytes(MARK) for number, mark in self._open.items())
        os.write(fd, data)
        unfinished.rename(self._file)
        os.close(self._fd)
        self._fd, self._size = fd, len(data)


def read(file: Path) -> dict[int, Mark]:
    """Return each delivery's last mark, or raise FileNotFoundError; half a mark is none."""
    data = file.read_bytes()
    numbers = (
        int.from_bytes(data[at : at + MARK]) for at in range(0, len(data) // MARK * MARK, MARK)
    )
    return {number >> 8: Mark(number & 0xFF) for number in numbers}


def _create(file: Path) -> int:
    return os.open(file, os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_WRONLY, 0o600)
