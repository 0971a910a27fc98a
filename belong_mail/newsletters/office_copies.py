"""Decide, in the worker, whether an issue is copied to the office's inbox.

That copies end counts `NOTICE` after the worker has told of it, and only if nobody has chosen anew
since. Of what it told and when it keeps a proof that nobody else can make.
"""

import json
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.core import office_copies, rate_limits
from belong_mail.core.audit import AuditEntry, Kind, Role
from belong_mail.core.decryption import DecryptionError, Opener
from belong_mail.core.office_copies import NAME, NOTICE
from belong_mail.core.rate_limits import COPIES_END_RATE
from belong_mail.core.services import Settings
from belong_mail.core.site_settings import WRAPPED_COLUMN, SiteSetting

TOLD = b"office/copies-end"


class Told(NamedTuple):
    """What all were told of, and when."""

    value: str | None
    at: datetime


def are_made(session: Session, opener: Opener, settings: Settings, at: datetime) -> bool:
    """Tell whether an issue that goes out at a time is copied."""
    row = session.get(SiteSetting, NAME)
    if office_copies.is_wanted(row, settings):
        return True
    if row is None or office_copies.is_environments(row):
        return False
    told_at = _told_at(session, opener, row)
    return told_at is None or at < told_at + NOTICE


def end_at(session: Session, opener: Opener) -> datetime | None:
    """Return from when on copies end, as all were told last; None where nobody was.

    What is chosen now does not count: who breaks into the web could choose otherwise until the
    emails have left, and then again as before.
    """
    told = _told(opener, session.get(SiteSetting, NAME))
    return told.at + NOTICE if told is not None else None


def tell_anew(session: Session, opener: Opener, settings: Settings, at: datetime) -> bool:
    """Note that all are told now, and return True where they must be; for one worker at a time."""
    _note_taken_back(session, opener, settings, at)
    found = select(SiteSetting).where(SiteSetting.name == NAME)
    locked = found.with_for_update(skip_locked=True)
    row = session.scalar(locked.execution_options(populate_existing=True))
    if row is None or office_copies.is_environments(row):
        return False
    if office_copies.is_wanted(row, settings):
        row.wrapped = None
        return False
    if _told_at(session, opener, row) is not None:
        return False
    if rate_limits.try_use(session, TOLD, COPIES_END_RATE, at) is None:
        return False
    told = json.dumps({"value": row.value, "at": at.isoformat()}).encode()
    row.wrapped = opener.wrap(told, WRAPPED_COLUMN, NAME)
    row.announced, row.announced_at = row.value, at
    return True


def _note_taken_back(session: Session, opener: Opener, settings: Settings, at: datetime) -> None:
    """Record that copies are wanted again, unless the trail says so: what was told is over.

    Who keeps the row locked keeps the proof in it, and nobody keeps the trail.
    """
    row = session.get(SiteSetting, NAME)
    told = _told(opener, row)
    if told is None or not office_copies.is_wanted(row, settings):
        return
    if told.at >= (office_copies.last_change(session) or told.at):
        # By the worker's clock, as what was told: the database's may be behind.
        changed = Kind.SETTING_CHANGED
        session.add(AuditEntry(at=at, kind=changed, role=Role.WORKER, detail=NAME))


def _told_at(session: Session, opener: Opener, row: SiteSetting) -> datetime | None:
    """Return when all were told of what is chosen now; None where they were not."""
    told = _told(opener, row)
    if told is None:
        return None
    chosen_at = office_copies.last_change(session) or told.at
    return told.at if told.value == row.value and told.at >= chosen_at else None


def _told(opener: Opener, row: SiteSetting | None) -> Told | None:
    """Open the proof of what was told last, and when."""
    with suppress(DecryptionError):
        wrapped = row.wrapped if row is not None else None
        told = json.loads(opener.unwrap(wrapped or b"", WRAPPED_COLUMN, NAME))
        return Told(told["value"], datetime.fromisoformat(told["at"]))
    return None
