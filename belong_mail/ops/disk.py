"""Free room where we write: a full disk stops forms, journals and backups at once."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from sqlalchemy.engine import make_url

# Less than that is said: a newsletter to 100,000 takes less, and a nightly copy of a large site.
LOW_BYTES: Final = 256 * 1024 * 1024
MEGABYTE: Final = 1024 * 1024


def free_bytes(database_url: str, state_folder: Path) -> int | None:
    """Return how much a disk of ours still takes, of the fullest; None: none can be looked at.

    A PostgreSQL server's own disk is another machine's to watch.
    """
    free = list(_free_bytes(database_url, state_folder))
    return min(free) if free else None


def _free_bytes(database_url: str, state_folder: Path) -> Iterator[int]:
    url = make_url(database_url)
    is_file = url.get_backend_name() == "sqlite" and url.database
    for folder in ([Path(str(url.database)).parent] if is_file else []) + [state_folder]:
        with suppress(OSError):  # it is not there yet, or not ours to see
            yield shutil.disk_usage(folder).free


def is_low(free: int | None) -> bool:
    return free is not None and free < LOW_BYTES
