"""A worker's journal: marks in a local file that show what was being sent when it was killed.

It gets a mark when a connection takes a delivery, before its final dot, and after the answer. The
first mark shows at which delivery workers die; the others show which messages may have arrived.

The file is mapped into memory and never synced: marks survive the process, but not a power cut,
after which the database's state counts (`results.recover`). It ends with a count of the worker's
transactions, which the lease has, too: whichever is lower has lost data. The last field says when
the worker was last active, by the monotonic clock, which no one can set.
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
# Size of the file in bytes; when it is full, it is rewritten with the open deliveries.
MAX_OCTETS: Final = 1 << 16
# Bytes at its end: transactions begun, transactions committed, and the time of last activity.
COUNTS_OCTETS: Final = 3 * ENTRY_OCTETS
FULL_OCTETS: Final = MAX_OCTETS - COUNTS_OCTETS
NANOSECONDS: Final = 10**9


class JournalEntry(IntEnum):
    # The final dot is about to be sent.
    DOT = 1
    ACCEPTED = 2
    REFUSED = 3
    # A connection has taken it.
    TAKEN = 4
    # It is claimed for another try, so its older marks no longer count.
    CLAIMED = 5


# Python 3.11 looks a member up slowly, and each message needs three.
DOT, ACCEPTED, REFUSED, TAKEN, CLAIMED = JournalEntry


class DeliveryHistory(NamedTuple):
    """A journal's contents: each delivery's last mark, and the fields at the end."""

    marks: dict[int, JournalEntry]
    begun: int
    made: int
    # Monotonic time, in seconds.
    moved_at: float


class Journal:
    """Writes marks. The file is allocated whole at first, so no mark fails on a full disk."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._open: dict[int, JournalEntry] = {}
        self._room = _create_file(file)
        self.begun = self.made = 0
        """Numbers of the last transaction begun and the last known to have committed."""
        self.move(time.monotonic())

    def write(self, delivery_id: int, mark: JournalEntry) -> None:
        """Append a mark, or raise OSError and leave the file unchanged."""
        with self._lock:
            if self._room.tell() == FULL_OCTETS:
                self._begin_anew()
            self._room.write((delivery_id << 8 | mark).to_bytes(ENTRY_OCTETS))
            self._open[delivery_id] = mark

    def note(self, delivery_id: int, mark: JournalEntry) -> None:
        """Append a mark that may be lost: then more deliveries are uncertain after a crash."""
        try:  # noqa: SIM105 - three times as fast, and it is done for each message
            self.write(delivery_id, mark)
        except OSError:
            pass

    def claim(self, delivery_ids: Iterable[int]) -> None:
        """Void the marks of earlier tries of these deliveries. Raises OSError."""
        for delivery_id in delivery_ids:
            self.write(delivery_id, CLAIMED)

    def move(self, at: float) -> None:
        """Record that the worker is active at a monotonic time."""
        self._moved_at = int(at * NANOSECONDS)
        self._count()

    def begin(self) -> int:
        """Count a transaction before it begins, and return its number."""
        self.begun += 1
        self._count()
        return self.begun

    def end_well(self) -> None:
        """Count the last transaction begun as committed."""
        self.made = self.begun
        self._count()

    def begin_uncounted(self) -> None:
        """Restart the count of commits, after an operator has restored an older database."""
        self.made = 0
        self._count()

    def forget(self, delivery_ids: Iterable[int]) -> None:
        """Remove deliveries whose result is stored; if none is left, begin the file again.

        SQLite may reuse a deleted delivery's id: old marks must not count for the new one.
        """
        with self._lock:
            for delivery_id in delivery_ids:
                self._open.pop(delivery_id, None)
            if not self._open:
                used = self._room.tell()
                self._room[:used] = bytes(used)
                self._room.seek(0)

    def _count(self) -> None:
        counts = (self.begun, self.made, self._moved_at)
        written = b"".join(count.to_bytes(ENTRY_OCTETS) for count in counts)
        with self._lock:  # a thread that opens a connection may rewrite the file meanwhile
            self._room[FULL_OCTETS:] = written

    def end(self) -> None:
        self._room.close()
        self._file.unlink(missing_ok=True)

    def _begin_anew(self) -> None:
        unfinished = self._file.with_suffix(".part")
        room = _create_file(unfinished)
        for number, mark in self._open.items():
            room.write((number << 8 | mark).to_bytes(ENTRY_OCTETS))
        room[FULL_OCTETS:] = self._room[FULL_OCTETS:]
        unfinished.rename(self._file)
        self._room.close()
        self._room = room


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
