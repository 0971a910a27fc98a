"""Decide, in the worker, whether an issue is copied to the office's inbox.

That copies end counts `NOTICE` after the worker has told of it, and only if nobody has chosen anew
since. Of what it told and when it keeps a proof that nobody else can make.
"""

import json
from contextlib import suppress
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.core import office_copies, rate_limits
from belong_mail.core.decryption import DecryptionError, Opener
from belong_mail.core.office_copies import NAME, NOTICE
from belong_mail.core.rate_limits import COPIES_END_RATE
from belong_mail.core.services import Settings
from belong_mail.core.site_settings import WRAPPED_COLUMN, SiteSetting

TOLD = b"office/copies-end"


def are_made(session: Session, opener: Opener, settings: Settings, at: datetime) -> bool:
    """Tell whether an issue that goes out at a time is copied."""
    row = session.get(SiteSetting, NAME)
    if office_copies.is_wanted(row, settings):
        return True
    if row is None or office_copies.is_environments(row):
        return False
    told_at = _told_at(session, opener, row)
    return told_at is None or at < told_at + NOTICE


def end_at(session: Session, opener: Opener, settings: Settings) -> datetime | None:
    """Return from when on copies end, of which all were told; None where they do not."""
    row = session.get(SiteSetting, NAME)
    if row is None or office_copies.is_wanted(row, settings):
        return None
    told_at = _told_at(session, opener, row)
    return told_at + NOTICE if told_at is not None else None


def tell_anew(session: Session, opener: Opener, settings: Settings, at: datetime) -> bool:
    """Note that all are told now, and return True where they must be; for one worker at a time."""
    found = select(SiteSetting).where(SiteSetting.name == NAME)
    row = session.scalar(found.with_for_update(skip_locked=True))
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


def _told_at(session: Session, opener: Opener, row: SiteSetting) -> datetime | None:
    """Return when all were told of what is chosen now; None where they were not."""
    with suppress(DecryptionError):
        told = json.loads(opener.unwrap(row.wrapped or b"", WRAPPED_COLUMN, NAME))
        told_at = datetime.fromisoformat(told["at"])
        chosen_at = office_copies.last_change(session) or told_at
        if told["value"] == row.value and told_at >= chosen_at:
            return told_at
    return None
