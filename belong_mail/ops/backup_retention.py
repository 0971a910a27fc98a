"""Delete old backups in a folder, except the last ones of days and weeks."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from belong_mail.core import encrypted_file
from belong_mail.ops.backup import PG_DUMP

# The names of `db backup`, in 1.0 also with the schema's version; other files are ignored.
NAME = re.compile(r"belong-(\d{8}T\d{6}Z)(?:-step[\d.]+)?[.]backup")
FORM = "%Y%m%dT%H%M%SZ"
# First bytes of a copy of SQLite or PostgreSQL.
PLAIN = (b"SQLite format 3\0", PG_DUMP)


def file_name(moment: datetime) -> str:
    """Return a backup's name, with its time in UTC."""
    return f"belong-{moment.astimezone(UTC).strftime(FORM)}.backup"


def delete_old(folder: Path, days: int, weeks: int) -> list[Path]:
    """Delete backups that no rule keeps, and return them.

    Broken files are neither counted nor deleted, so that someone sees them.
    """
    copies = {}
    for file in folder.iterdir():
        if (named := NAME.fullmatch(file.name)) and _looks_good(file):
            copies[datetime.strptime(named[1], FORM).replace(tzinfo=UTC)] = file
    gone = [copies[moment] for moment in sorted(copies.keys() - kept(copies, days, weeks))]
    for file in gone:
        file.unlink()
    return gone


def kept(moments: Iterable[datetime], days: int, weeks: int) -> set[datetime]:
    """Return the newest backup of each of the last days and weeks.

    Only days and weeks with a backup count, so that the last ones stay when backups stop.
    """
    by_day: dict[object, datetime] = {}
    by_week: dict[object, datetime] = {}
    for moment in sorted(moments):
        by_day[moment.date()] = moment
        by_week[moment.isocalendar()[:2]] = moment
    return {
        *sorted(by_day.values(), reverse=True)[:days],
        *sorted(by_week.values(), reverse=True)[:weeks],
    }


def _looks_good(file: Path) -> bool:
    """Return whether a file is readable and has the form of a backup."""
    try:
        with file.open("rb") as source:
            is_plain = source.read(len(PLAIN[0])).startswith(PLAIN)
        return is_plain or encrypted_file.looks_whole(file)
    except OSError:
        return False
