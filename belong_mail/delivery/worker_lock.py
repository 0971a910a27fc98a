"""The worker's lock file, by which other workers of the folder see that it is running."""

import fcntl
import os
import re
import secrets
import time
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Final

from belong_mail.delivery import journal
from belong_mail.delivery.models import LEASE

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
# A worker's name. On SQLite the web may write others, which could be paths.
_NAME: Final = re.compile(r"\w{1,8}-[0-9a-f]{16}", re.ASCII)


class WorkerStatus(Enum):
    """A worker's status, as its folder shows it."""

    ALIVE = "alive"
    # It is running, but was not active for the length of a lease.
    STILL = "still"
    DEAD = "dead"
    # It has no lock file here; it may run on another host, so only its lease tells.
    UNKNOWN = "unknown"


class WorkerLock:
    """A worker's name, lock file and journal, in the folder that the workers of one host share."""

    def __init__(self, folder: Path) -> None:
        """Create the files, or raise OSError and leave none."""
        self._folder = folder
        self.name = f"{_boot()}-{secrets.token_hex(8)}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = (folder / self.name).open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self.journal = journal.Journal(self._journal_of(self.name))
        except OSError:
            with suppress(OSError):
                self.remove_worker_files(self.name)
            raise

    def status_of(self, name: str) -> WorkerStatus:
        if not _NAME.fullmatch(name):
            return WorkerStatus.UNKNOWN
        standing = _worker_status(self._folder / name)
        if standing is WorkerStatus.ALIVE and (story := self._history(name)) is not None:
            is_still = time.monotonic() - story.moved_at > LEASE.total_seconds()
            return WorkerStatus.STILL if is_still else standing
        return standing

    def entries(self, name: str, turn: int = 0) -> dict[int, journal.JournalEntry] | None:
        """Return another worker's marks, or None if its journal cannot be trusted.

        After a reboot, or if it counts fewer transactions than `turn`, the database's number, marks
        may be missing.
        """
        story = self._history(name)
        return None if story is None or story.begun < turn else story.marks

    def committed(self) -> dict[str, int]:
        """Return how many transactions each dead worker of this folder certainly committed."""
        dead = self.dead()
        return {name: story.made for name in dead if (story := self._history(name)) is not None}

    def dead(self) -> list[str]:
        """List the dead workers of this folder whose deliveries were not taken over yet."""
        names = [file.stem for file in self._folder.glob("*.journal")]
        return [name for name in names if self.status_of(name) is WorkerStatus.DEAD]

    def is_writable(self) -> bool:
        """Return whether the disk is writable: a write to mapped memory would not fail."""
        return not os.statvfs(self._folder).f_flag & os.ST_RDONLY

    def _history(self, name: str) -> journal.DeliveryHistory | None:
        if not name.startswith(f"{_boot()}-"):
            return None
        try:
            return journal.read_journal(self._journal_of(name))
        except (FileNotFoundError, ValueError):
            return None

    def remove_worker_files(self, name: str) -> None:
        """Delete the files of a dead worker whose deliveries were taken over."""
        self._journal_of(name).unlink(missing_ok=True)
        (self._folder / name).unlink(missing_ok=True)

    def end(self) -> None:
        self.journal.end()
        self.remove_worker_files(self.name)
        self._lock.close()

    def _journal_of(self, name: str) -> Path:
        return self._folder / f"{name}.journal"


def is_worker_running(folder: Path) -> bool:
    names = (file.name for file in folder.glob("*") if not file.suffix)
    return any(_worker_status(folder / name) is WorkerStatus.ALIVE for name in names)


def _worker_status(file: Path) -> WorkerStatus:
    try:
        with file.open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return WorkerStatus.UNKNOWN
    except BlockingIOError:
        return WorkerStatus.ALIVE
    return WorkerStatus.DEAD


def _boot() -> str:
    """Return the start of the boot id: after a reboot, marks may be missing."""
    try:
        return _BOOT.read_text()[:8]
    except OSError:
        return "unknown"
