"""The witness: what this host last saw of the database, kept outside of the database."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from belong_mail.db import new_public_id

MACHINE = Path("/etc/machine-id")


class WitnessUnreadable(Exception):
    """Says what is wrong with the state folder, and what to do."""


@dataclass(slots=True)
class Seen:
    """What a host last saw: the folder's own name, and the database's epoch and place."""

    folder: str
    epoch: int = 0
    is_pending: bool = False
    """The database may be one epoch further: we were cut off between the two."""
    machine: str = ""
    place: str = ""
    """Which file or cluster the database was; empty before the first time."""


class Witness:
    def __init__(self, folder: Path) -> None:
        """Open the witness of a state folder, which is made where it is missing.

        Raises WitnessUnreadable.
        """
        self._file = folder / "witness"
        self._lock = folder / "witness.lock"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked():
                if not self._file.exists():
                    self._write(Seen(new_public_id()))
        except OSError as error:
            raise WitnessUnreadable(
                f"BELONG_STATE_FOLDER cannot be used ({type(error).__name__}): run this as the"
                " worker's user, with the worker's settings."
            ) from error

    def seen(self) -> Seen:
        """Return what this host last saw. Raises WitnessUnreadable."""
        try:
            return Seen(**json.loads(self._file.read_text()))
        except (ValueError, TypeError) as error:
            raise WitnessUnreadable(
                "BELONG_STATE_FOLDER holds a file “witness” that is damaged. Remove it; then this"
                " host is on hold until `hold release`."
            ) from error

    @contextmanager
    def turn(self) -> Iterator[Seen]:
        """Change both, database and witness: within, the database commits; then the file follows.

        One worker of a folder at a time. Whoever is cut off in between leaves `is_pending`.
        """
        with self._locked():
            seen = self.seen()
            self._write(replace(seen, is_pending=True))
            yield seen
            self._write(seen)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, seen: Seen) -> None:
        """Replace the file in one step that survives a power cut."""
        fresh = self._file.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(asdict(seen), out)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self._file)


def machine() -> str:
    """Name this machine, or return nothing where it has no name (in most containers)."""
    try:
        return MACHINE.read_text().strip()
    except OSError:
        return ""
