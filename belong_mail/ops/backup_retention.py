"""Delete old backups in a folder, except the last ones of days, weeks and schema versions."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from belong_mail.core import encrypted_file
from belong_mail.ops.backup import PG_DUMP

# The names of `db backup`; other files are ignored.
NAME = re.compile(r"belong-(\d{8}T\d{6}Z)(?:-step(\d[\d.]*))?[.]backup")
# How long the last backup of each schema version is kept at least.
STEP_AGE = timedelta(days=30)
FORM = "%Y%m%dT%H%M%SZ"
# First bytes of a copy of SQLite or PostgreSQL.
PLAIN = (b"SQLite format 3\0", PG_DUMP)


def file_name(moment: datetime, step: str | None = None) -> str:
    """Return a backup's name, with its time in UTC and its schema version."""
    named = f"-step{step}" if step else ""
    return f"belong-{moment.astimezone(UTC).strftime(FORM)}{named}.backup"


def delete_old(folder: Path, days: int, weeks: int) -> list[Path]:
    """Delete backups that no rule keeps, and return them.

    Broken files are neither counted nor deleted, so that someone sees them.
    """
    copies, steps = {}, {}
    for file in folder.iterdir():
        if (named := NAME.fullmatch(file.name)) and _looks_good(file):
            moment = datetime.strptime(named[1], FORM).replace(tzinfo=UTC)
            copies[moment] = file
            steps[moment] = named[2]
    stay = kept(copies, days, weeks) | last_of_steps(steps)
    gone = [copies[moment] for moment in sorted(copies.keys() - stay)]
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


def last_of_steps(steps: Mapping[datetime, str | None]) -> set[datetime]:
    """Return the newest backup of each schema version, for going back to it."""
    last = {step: moment for moment, step in sorted(steps.items()) if step}
    return {moment for moment in last.values() if max(steps) - moment < STEP_AGE}


def _looks_good(file: Path) -> bool:
    """Return whether a file is readable and has the form of a backup."""
    try:
        with file.open("rb") as source:
            is_plain = source.read(len(PLAIN[0])).startswith(PLAIN)
        return is_plain or encrypted_file.looks_whole(file)
    except OSError:
        return False
