"""The state file: this host's last view of the database, kept outside of it."""

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
# Seconds to wait for another worker of this folder, which may stand still.
LOCK_SECONDS = 10.0
LOCK_POLL_SECONDS = 0.02


class StateFolderError(Exception):
    """Says what is wrong with the state folder, and what to do."""


@dataclass(slots=True)
class HostState:
    """A host's last view: the folder's own name, and the database's epoch and place."""

    folder: str
    epoch: int = 0
    # The database may be one epoch further: we were cut off between the two.
    is_pending: bool = False
    machine: str = ""
    # The file or cluster of the database; empty before the first time.
    place: str = ""


class HostStateFile:
    def __init__(self, folder: Path) -> None:
        """Open the state file of a folder, made where it is missing, or raise StateFolderError."""
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
        """Return what this host last saw. Raises StateFolderError."""
        try:
            return HostState(**json.loads(self._file.read_text()))
        except (ValueError, TypeError) as error:
            raise StateFolderError(
                "BELONG_STATE_FOLDER has a damaged file “witness”. Remove it. This host is then on"
                " hold until `hold release`."
            ) from error

    @contextmanager
    def locked_update(self) -> Iterator[HostState]:
        """Change database and state file: within, the database commits; then the file follows.

        One worker of a folder at a time. One that is cut off in between leaves `is_pending`.
        """
        with self._locked():
            seen = self.seen()
            self._write(replace(seen, is_pending=True))
            yield seen
            self._write(seen)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep others out, or raise BlockingIOError, an OSError, when one stays inside."""
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
        """Replace the file in one step that survives a power cut."""
        fresh = self._file.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(asdict(seen), out)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self._file)


def machine_id() -> str:
    """Name this machine, or return nothing where it has no name (in most containers)."""
    try:
        return MACHINE.read_text().strip()
    except OSError:
        return ""
