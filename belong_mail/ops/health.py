"""Find what stands still, and what disks have room for: for `doctor`, `status` and `/readyz`."""

import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from belong_mail.core import db
from belong_mail.core.db import now
from belong_mail.core.services import Settings
from belong_mail.inbound.models import LastLook
from belong_mail.ops import hold
from belong_mail.ops.metrics import LATE, Metrics, oldest_request

MINUTE, HOUR = 60, 3600
# A nightly backup that came late has been missed by then.
BACKUP_LATE_HOURS = 36
NO_WORKER = "No worker has run on this database yet. Start one: nothing is read or sent."
DEAD = "No worker is running. Check its log, and start it again: nothing is read or sent."
AHEAD = "The last sign of a worker is ahead of this machine's clock."
# What to look at, by the step at which a look into the mailbox ended.
INBOUND_ADVICE = {
    "CONNECT": "Are its host and port right? Is its certificate valid for this name?",
    "TOKEN": "No access token: are the credentials right, and not revoked?",
    "LOGIN": "Are the user and password, or the credentials, right?",
    "SELECT": "Is there such a folder, and may we change it?",
    "FETCH": "A message could not be fetched.",
    "SEARCH": "Its messages could not be listed.",
    "MOVE": "Messages could not be moved to the folder for what was read.",
    "DELETE": "What was read could not be deleted.",
    "QUEUE": "Too much is waiting to be read. Is the worker running?",
}
NO_CANARY = "No worker sends test emails. Start it with the same BELONG_CANARY_ADDRESS as here."
# Less than that is said: a newsletter to 100,000 takes less, and a nightly copy of a large site.
LOW_BYTES: Final = 256 * 1024 * 1024
MEGABYTE: Final = 1024 * 1024
GROUP_USES: Final = stat.S_IRGRP | stat.S_IWGRP


@dataclass(frozen=True, slots=True)
class HealthFinding:
    words: str
    is_wrong: bool = False


def failure(words: str) -> HealthFinding:
    return HealthFinding(words, is_wrong=True)


def check_schema(engine: Engine) -> HealthFinding:
    """Tell whether the last step has been taken."""
    try:
        db.require_current_schema(engine)
    except db.SchemaOutdated:
        return failure("The database schema is not up to date. Run `db upgrade`.")
    except db.SchemaInconsistent as error:
        return failure(str(error))
    return HealthFinding("The database schema is up to date.")


def check_sharing(settings: Settings) -> Iterator[HealthFinding]:
    """Look whether the web, of another user, can write to SQLite's files, as to their folder.

    The worker owns them and notices nothing, while each form answers 503.
    """
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return
    file = Path(url.database)
    with suppress(OSError):
        folder = file.parent.stat()
        files = [file, *(file.with_name(file.name + end) for end in ("-wal", "-shm"))]
        found = [each.stat() for each in files if each.exists()]
        is_shared = all(
            each.st_gid == folder.st_gid and each.st_mode & GROUP_USES == GROUP_USES
            for each in found
        )
        if folder.st_mode & stat.S_IWGRP and not is_shared:
            yield failure(
                "The web cannot write to the database: forms answer 503. As root, run:"
                f" chgrp {folder.st_gid} {file}*; chmod 660 {file}*"
            )


def obstacles(session: Session, *, has_relay: bool, free_bytes: int | None = None) -> list[str]:
    """Say why what people ask for now would not be answered soon; quick, for `/readyz`.

    A database that no worker has ever met is ready: it waits for its first one.
    """
    at, said = now(), []
    if hold.is_on(session):
        said.append("Sending is on hold.")
    pulse = hold.pulse(session)
    if has_relay and pulse is not None and hold.is_dead(pulse, at):
        seconds = (at - pulse).total_seconds()
        said.append(
            f"No worker is running: the last sign of one is {seconds // MINUTE:.0f} minutes old."
            if seconds > 0
            else AHEAD
        )
    if is_low(free_bytes):
        said.append("A disk is nearly full.")
    if oldest_request(session, at) > LATE.total_seconds():
        said.append("Requests are waiting to be read.")
    return said


def check_work(
    metrics: Metrics, *, has_relay: bool, has_canary: bool = False, has_backups: bool = False
) -> Iterator[HealthFinding]:
    """Look at who works, and at what waits. Without a relay no worker shows that it is running."""
    yield from _backup(metrics.backup_seconds, is_wanted=has_backups)
    if has_relay:
        yield _worker(metrics)
    yield from _disk(metrics.free_bytes)
    if metrics.is_on_hold:
        yield failure("Sending is on hold. See `hold status`.")
    yield _mail(metrics)
    if has_canary:
        yield _canary(metrics.canary_seconds)
    if (seconds := metrics.oldest_request_seconds) > LATE.total_seconds():
        yield failure(f"Requests have been waiting to be read for {seconds // MINUTE:.0f} minutes.")
    if metrics.inbound is not None:
        yield _inbound(metrics.inbound)
    if metrics.is_coming_back:
        yield failure(
            "Many emails bounce, or some because of our setup. See `bounce status`, SPF and DMARC."
        )
    if metrics.undelivered:
        number = metrics.undelivered
        yield failure(f"Messages not delivered to the office: {number}. See `contact undelivered`.")
    if metrics.unreadable:
        yield failure(
            f"Requests that cannot be read: {metrics.unreadable}. Is the right private key here?"
        )
    yield from _stuck(metrics)


def _worker(metrics: Metrics) -> HealthFinding:
    if metrics.pulse_seconds is None:
        return failure(NO_WORKER)
    if metrics.is_worker_dead and metrics.pulse_seconds < 0:
        return failure(f"{AHEAD} Set the clock by NTP, and see `hold status`.")
    if metrics.is_worker_dead:
        minutes = metrics.pulse_seconds // MINUTE
        return failure(f"The last sign of a worker is {minutes:.0f} minutes old. {DEAD}")
    return HealthFinding("A worker is running.")


def _disk(free: int | None) -> Iterator[HealthFinding]:
    if free is None:
        return
    if is_low(free):
        yield failure(
            f"A disk that we write to takes only {free // MEGABYTE} MB more; `df -h` shows which."
            " Make room: a full one stops forms, sending and backups."
        )
    else:
        yield HealthFinding("The disks that we write to have room.")


def _mail(metrics: Metrics) -> HealthFinding:
    if metrics.oldest_seconds <= LATE.total_seconds():
        return HealthFinding("No message has been waiting for more than 15 minutes.")
    said = metrics.last_answer
    why = f"The relay’s last answer: {said}." if said else "Is the worker running?"
    minutes = metrics.oldest_seconds // MINUTE
    return failure(f"The oldest message has been waiting for {minutes:.0f} minutes. {why}")


def _canary(seconds: float | None) -> HealthFinding:
    if seconds is None:
        return failure(NO_CANARY)
    if seconds <= LATE.total_seconds():
        return HealthFinding("The relay accepted a test email in the last 15 minutes.")
    minutes = seconds // MINUTE
    return failure(
        f"The relay has accepted no test email for {minutes:.0f} minutes: email isn't going out."
        " Check the worker's log, and that the address in BELONG_CANARY_ADDRESS accepts email."
    )


def _backup(seconds: float | None, *, is_wanted: bool) -> Iterator[HealthFinding]:
    """Look at `db backup`, where it was ever run or has a key; others may copy in another way."""
    if seconds is None:
        if is_wanted:
            yield failure("No backup has been made yet. Run `db backup`, each night.")
    elif seconds <= BACKUP_LATE_HOURS * HOUR:
        yield HealthFinding(f"The last backup is no more than {BACKUP_LATE_HOURS} hours old.")
    else:
        yield failure(
            f"The last backup is {seconds // HOUR:.0f} hours old. Read the log of belong-backup,"
            " and run `db backup`."
        )


def _inbound(last: LastLook) -> HealthFinding:
    minutes = last.silent_seconds // MINUTE
    if not last.is_overdue:
        return HealthFinding("The mailbox for bounces was read in the last hour.")
    return failure(
        f"The mailbox for bounces has not been read for {minutes:.0f} minutes."
        f" {INBOUND_ADVICE.get(last.failed_step, '')}".rstrip()
    )


def _stuck(metrics: Metrics) -> Iterator[HealthFinding]:
    """Look at what stays in a state that should be left by itself."""
    if number := metrics.orphans:
        yield failure(f"Messages claimed by unknown workers: {number}.")
    if number := metrics.overdue_issues:
        yield failure(f"Newsletters whose time has passed, but which were not queued: {number}.")
    if names := metrics.undecided_issues:
        yield failure(
            "Newsletters that have been held, or paused by themselves, for more than a day. Ask"
            " their group leaders, or use `newsletter release`, `resume`, `cancel` or `stop`:"
            f" {' '.join(names)}"
        )
    if number := metrics.unexplained:
        yield failure(
            f"Things that wait because a clock was ahead: {number}. A worker fixes this within a"
            " minute. Check that NTP sets the clock."
        )


def free_bytes(settings: Settings) -> int | None:
    """Return how much a disk of ours still takes, of the fullest; None: none can be looked at.

    A PostgreSQL server's own disk is another machine's to watch.
    """
    url, folders, free = make_url(settings.database_url), [settings.state_folder], []
    if url.get_backend_name() == "sqlite" and url.database:
        folders.append(Path(url.database).parent)
    for folder in folders:
        with suppress(OSError):  # it is not there yet, or not ours to see
            free.append(shutil.disk_usage(folder).free)
    return min(free, default=None)


def is_low(free: int | None) -> bool:
    return free is not None and free < LOW_BYTES
