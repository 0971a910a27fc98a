"""The state file of a host, which records its last use of the database outside of it."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from belong_mail.core.db import new_public_id

MACHINE = Path("/etc/machine-id")
# Seconds to wait for another worker of this folder, which may hang.
LOCK_SECONDS = 10.0
LOCK_POLL_SECONDS = 0.02


class StateFolderError(Exception):
    """The state folder cannot be used; the error says why, and what to do."""


@dataclass(slots=True)
class HostState:
    """The state folder's id, and the database's epoch and identity at its last use."""

    folder: str
    epoch: int = 0
    # Whether the database may be one epoch ahead, as the update was cut off.
    is_pending: bool = False
    machine: str = ""
    # The id that `hold.cluster` returned; "" before the first use.
    place: str = ""


class HostStateFile:
    def __init__(self, folder: Path) -> None:
        """Open a folder's state file, or create it. Raises StateFolderError."""
        self._file = folder / "witness"
        self._lock = folder / "witness.lock"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked():
                if not self._file.exists():
                    self._write(HostState(new_public_id()))
        except OSError as error:
            raise StateFolderError(
                f"BELONG_STATE_FOLDER cannot be used ({type(error).__name__}). Run this as the"
                " worker's user, with the worker's settings."
            ) from error

    def seen(self) -> HostState:
        """Return the state at the last use of the database. Raises StateFolderError."""
        try:
            return HostState(**json.loads(self._file.read_text()))
        except (ValueError, TypeError) as error:
            raise StateFolderError(
                "BELONG_STATE_FOLDER has a damaged file “witness”. Remove it. This host is then on"
                " hold until `hold release`."
            ) from error

    @contextmanager
    def locked_update(self) -> Iterator[HostState]:
        """Update database and state file together: the block commits, then the file is written.

        Only one worker of a folder enters at a time. If it is cut off in between, `is_pending`
        stays set.
        """
        with self._locked():
            seen = self.seen()
            self._write(replace(seen, is_pending=True))
            yield seen
            self._write(seen)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the folder. Raises BlockingIOError (an OSError) if another worker has locked it."""
        until = time.monotonic() + LOCK_SECONDS
        with self._lock.open("a") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise
                time.sleep(LOCK_POLL_SECONDS)
            yield

    def _write(self, seen: HostState) -> None:
        """Replace the file atomically and durably."""
        fresh = self._file.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(asdict(seen), out)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self._file)


def machine_id() -> str:
    """Return the machine's id, or "" if it has none, as most containers."""
    try:
        return MACHINE.read_text().strip()
    except OSError:
        return ""
