"""What a worker has in flight, known after any kill: a mark before each final dot, one after.

A mark when a connection takes a delivery in hand shows at which of them workers die.

Marks are written to a local file that is mapped into memory, without waiting for the disk: they
outlive the process, not a power cut, after which the database's word stands (`settling.recover`).
"""

import os
import threading
from collections.abc import Iterable
from enum import IntEnum
from itertools import takewhile
from mmap import mmap
from pathlib import Path
from typing import Final

MARK: Final = 8
"""Octets: seven of the delivery's id, one of what happened."""
LARGEST: Final = 1 << 16
"""Octets of a journal; when it is full it begins anew with what is still open."""


class Mark(IntEnum):
    DOT = 1
    """The final dot may leave now."""
    ACCEPTED = 2
    REFUSED = 3
    TAKEN = 4
    """A connection has it in hand."""
    CLAIMED = 5
    """It is tried again: what is older tells of an earlier try."""


class Journal:
    """Room for the marks is taken when a file begins, so that no disk is full at a mark."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._open: dict[int, Mark] = {}
        self._room = _create(file)
        self._size = 0

    def write(self, delivery_id: int, mark: Mark) -> None:
        """Append a mark, or raise OSError and leave the journal whole."""
        data = (delivery_id << 8 | mark).to_bytes(MARK)
        with self._lock:
            if self._size == LARGEST:
                self._begin_anew()
            end = self._size + MARK
            self._room[self._size : end] = data
            self._size = end
            self._open[delivery_id] = mark

    def note(self, delivery_id: int, mark: Mark) -> None:
        """Append a mark that may be missing: without it more is taken for uncertain."""
        try:  # noqa: SIM105 - three times as fast, and it is done for each message
            self.write(delivery_id, mark)
        except OSError:
            pass

    def claim(self, delivery_ids: Iterable[int]) -> None:
        """Close what earlier tries left here, before these may be tried again, or raise OSError."""
        for delivery_id in delivery_ids:
            self.write(delivery_id, Mark.CLAIMED)

    def forget(self, delivery_ids: Iterable[int]) -> None:
        """Let go of deliveries whose outcome the database has."""
        with self._lock:
            for delivery_id in delivery_ids:
                self._open.pop(delivery_id, None)

    def end(self) -> None:
        self._room.close()
        self._file.unlink(missing_ok=True)

    def _begin_anew(self) -> None:
        unfinished = self._file.with_suffix(".part")
        room = _create(unfinished)
        data = b"".join((number << 8 | mark).to_bytes(MARK) for number, mark in self._open.items())
        room[: len(data)] = data
        unfinished.rename(self._file)
        self._room.close()
        self._room, self._size = room, len(data)


def read(file: Path) -> dict[int, Mark]:
    """Return each delivery's last mark, or raise FileNotFoundError or ValueError."""
    data = file.read_bytes()
    numbers = (int.from_bytes(data[at : at + MARK]) for at in range(0, len(data), MARK))
    return {number >> 8: Mark(number & 0xFF) for number in takewhile(bool, numbers)}


def _create(file: Path) -> mmap:
    """Make a file that is as large as it will ever be: the rest of it is zeros."""
    fd = os.open(file, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
    try:
        os.posix_fallocate(fd, 0, LARGEST)
        return mmap(fd, LARGEST)
    finally:
        os.close(fd)
