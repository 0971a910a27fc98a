"""Who works here: a lock that shows other workers of this folder that one lives."""

import fcntl
import secrets
from enum import Enum
from pathlib import Path
from typing import Final

from belong_mail.sending import journal

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class Standing(Enum):
    """What the folder tells of a worker."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"
    """It works with another folder, perhaps on another host: only its lease tells."""


class Presence:
    """A worker's name, and its files in the folder that the workers of one host share."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self.name = f"{_boot()}-{secrets.token_hex(8)}"
        self._lock = (folder / self.name).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.journal = journal.Journal(self._journal_of(self.name))

    def judge(self, name: str) -> Standing:
        """Tell whether a worker lives."""
        try:
            with (self._folder / name).open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return Standing.UNKNOWN
        except BlockingIOError:
            return Standing.ALIVE
        return Standing.DEAD

    def marks(self, name: str) -> dict[int, journal.Mark] | None:
        """Return what a dead worker wrote into its journal; None when that cannot be trusted.

        After the host went down, marks that had not reached the disk are missing.
        """
        if not name.startswith(f"{_boot()}-"):
            return None
        try:
            return journal.read(self._journal_of(name))
        except (FileNotFoundError, ValueError):
            return None

    def bury(self, name: str) -> None:
        """Remove the files of a dead worker, whose deliveries have been taken over."""
        self._journal_of(name).unlink(missing_ok=True)
        (self._folder / name).unlink(missing_ok=True)

    def end(self) -> None:
        self.journal.end()
        self.bury(self.name)
        self._lock.close()

    def _journal_of(self, name: str) -> Path:
        return self._folder / f"{name}.journal"


def _boot() -> str:
    """Name this run of the machine; another one has forgotten what no disk had."""
    try:
        return _BOOT.read_text()[:8]
    except OSError:
        return "unknown"
