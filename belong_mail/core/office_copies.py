"""Whether the office's inbox gets a copy of each newsletter, as the office has chosen.

The copy is how the office hears of a newsletter that nobody meant to send. Whoever breaks into the
web could choose as the office does. So copies end only `NOTICE` after the worker has told of it
(`newsletters.office_copies`); that they are wanted counts at once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from belong_mail.core import site_settings
from belong_mail.core.audit import AuditEntry, Kind
from belong_mail.core.db import now
from belong_mail.core.services import Settings
from belong_mail.core.site_settings import SiteSetting

NAME = "copy_to_office"
NOTICE = timedelta(hours=72)
CHOICES = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class CopiesState:
    """What the office's page says; the worker decides."""

    is_wanted: bool
    # From when on none are made; None: nobody was told yet, or none have been made since.
    ends_at: datetime | None
    is_over: bool


def choose(session: Session, *, is_wanted: bool) -> None:
    """Let copies go on or begin at once, or end after everyone was told."""
    site_settings.store(session, NAME, "yes" if is_wanted else "no")


def state(session: Session, settings: Settings) -> CopiesState:
    """Return what is chosen, and from when on it counts."""
    row = session.get(SiteSetting, NAME)
    if is_wanted(row, settings):
        return CopiesState(is_wanted=True, ends_at=None, is_over=False)
    if is_environments(row) or row is None:
        return CopiesState(is_wanted=False, ends_at=None, is_over=True)
    is_told = row.announced == row.value and row.announced_at is not None
    ends_at = row.announced_at + NOTICE if is_told and row.announced_at is not None else None
    is_over = ends_at is not None and ends_at <= now()
    return CopiesState(is_wanted=False, ends_at=None if is_over else ends_at, is_over=is_over)


def is_wanted(row: SiteSetting | None, settings: Settings) -> bool:
    """Tell what is chosen; a value that is none of ours leaves it to the environment."""
    value = row.value if row is not None else None
    return CHOICES.get(value or "", bool(settings.copy_to_office))


def is_environments(row: SiteSetting | None) -> bool:
    """Tell whether the office has never chosen: then what the operator has set counts at once."""
    return row is None or (row.value is None and row.announced is None and row.wrapped is None)


def last_change(session: Session) -> datetime | None:
    """Return when somebody chose last, by the trail, which the web can add to and not take from."""
    chosen = AuditEntry.kind == Kind.SETTING_CHANGED, AuditEntry.detail == NAME
    return session.scalar(select(func.max(AuditEntry.at)).where(*chosen))
