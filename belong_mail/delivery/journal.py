"""A worker's journal: a mark before each final dot and one after, so that a kill loses nothing.

A mark when a connection takes a delivery in hand shows at which of them workers die.

Marks are written to a local file that is mapped into memory, without waiting for the disk: they
survive the process but not a power cut, after which the database's word counts (`results.recover`).
At its end the journal counts its worker's transactions, as the worker's lease does: the one that is
behind has lost something. It also says when the worker last moved, by the machine's own clock that
no one can set.
"""

import os
import threading
import time
from collections.abc import Iterable
from enum import IntEnum
from itertools import takewhile
from mmap import mmap
from pathlib import Path
from struct import unpack_from
from typing import Final, NamedTuple

# Bytes: seven of the delivery's id, one of the event.
ENTRY_OCTETS: Final = 8
# Bytes of a journal; when it is full it starts anew with what is still open.
MAX_OCTETS: Final = 1 << 16
# Bytes at its end: transactions begun, transactions made, and when the worker moved.
COUNTS_OCTETS: Final = 3 * ENTRY_OCTETS
FULL_OCTETS: Final = MAX_OCTETS - COUNTS_OCTETS
NANOSECONDS: Final = 10**9


class JournalEntry(IntEnum):
    # The final dot may leave now.
    DOT = 1
    ACCEPTED = 2
    REFUSED = 3
    # A connection has it in hand.
    TAKEN = 4
    # It is tried again: older marks are of an earlier try.
    CLAIMED = 5


class DeliveryHistory(NamedTuple):
    """A journal's contents: each delivery's last mark, and the counts at the end."""

    marks: dict[int, JournalEntry]
    begun: int
    made: int
    # By the monotonic clock.
    moved_at: float


class Journal:
    """Allocates the whole file when it begins, so that the disk is never full at a mark."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._open: dict[int, JournalEntry] = {}
        self._room = _create_file(file)
        self._size = 0
        self.begun = self.made = 0
        """Transactions that wrote down results or claimed; the last one may not have been made."""
        self.move(time.monotonic())

    def write(self, delivery_id: int, mark: JournalEntry) -> None:
        """Append a mark, or raise OSError and leave the journal whole."""
        data = (delivery_id << 8 | mark).to_bytes(ENTRY_OCTETS)
        with self._lock:
            if self._size == FULL_OCTETS:
                self._begin_anew()
            end = self._size + ENTRY_OCTETS
            self._room[self._size : end] = data
            self._size = end
            self._open[delivery_id] = mark

    def note(self, delivery_id: int, mark: JournalEntry) -> None:
        """Append a mark that may be lost: without it more deliveries become uncertain."""
        try:  # noqa: SIM105 - three times as fast, and it is done for each message
            self.write(delivery_id, mark)
        except OSError:
            pass

    def claim(self, delivery_ids: Iterable[int]) -> None:
        """Close the marks of earlier tries before deliveries are tried again. Raises OSError."""
        for delivery_id in delivery_ids:
            self.write(delivery_id, JournalEntry.CLAIMED)

    def move(self, at: float) -> None:
        """Record that the worker is moving."""
        self._moved_at = int(at * NANOSECONDS)
        self._count()

    def begin(self) -> int:
        """Count a transaction before it is made, and return its number."""
        self.begun += 1
        self._count()
        return self.begun

    def end_well(self) -> None:
        """Count the last begun transaction as made."""
        self.made = self.begun
        self._count()

    def begin_uncounted(self) -> None:
        """Count without the database, which an operator has set back."""
        self.made = 0
        self._count()

    def forget(self, delivery_ids: Iterable[int]) -> None:
        """Remove deliveries whose outcome the database has."""
        with self._lock:
            for delivery_id in delivery_ids:
                self._open.pop(delivery_id, None)

    def _count(self) -> None:
        counts = (self.begun, self.made, self._moved_at)
        self._room[FULL_OCTETS:] = b"".join(count.to_bytes(ENTRY_OCTETS) for count in counts)

    def end(self) -> None:
        self._room.close()
        self._file.unlink(missing_ok=True)

    def _begin_anew(self) -> None:
        unfinished = self._file.with_suffix(".part")
        room = _create_file(unfinished)
        data = b"".join(
            (number << 8 | mark).to_bytes(ENTRY_OCTETS) for number, mark in self._open.items()
        )
        room[: len(data)], room[FULL_OCTETS:] = data, self._room[FULL_OCTETS:]
        unfinished.rename(self._file)
        self._room.close()
        self._room, self._size = room, len(data)


def read_journal(file: Path) -> DeliveryHistory:
    """Return a journal's contents. Raises FileNotFoundError or ValueError."""
    data = file.read_bytes()
    numbers = unpack_from(f">{len(data) // ENTRY_OCTETS}Q", data)
    begun, made, moved_at = numbers[FULL_OCTETS // ENTRY_OCTETS :] or (0, 0, 0)
    marks = takewhile(bool, numbers[: FULL_OCTETS // ENTRY_OCTETS])
    return DeliveryHistory(
        {number >> 8: JournalEntry(number & 0xFF) for number in marks},
        begun,
        made,
        moved_at / NANOSECONDS,
    )


def _create_file(file: Path) -> mmap:
    """Create a file of its full size, filled with zeros."""
    fd = os.open(file, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
    try:
        os.posix_fallocate(fd, 0, MAX_OCTETS)
        return mmap(fd, MAX_OCTETS)
    finally:
        os.close(fd)
