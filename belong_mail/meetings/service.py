"""Finding meetings: what is held when, for a group or for all."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Select, exists, select
from sqlalchemy.orm import Session, selectinload

from belong_mail.groups.models import Group
from belong_mail.meetings import recurrence
from belong_mail.meetings.models import Meeting, MeetingChange
from belong_mail.meetings.recurrence import Occurrence

YEAR = timedelta(days=366)
KEPT = timedelta(days=90)
"""After its last day, or after it was cancelled: so long calendars can still hear of it."""


def shown(session: Session, group: Group | None = None) -> list[Meeting]:
    """List the meetings of a group, or of all groups that are not retired, cancelled ones too."""
    found = _of_groups_that_are_there().order_by(Meeting.id)
    if group is not None:
        found = found.where(Meeting.group_id == group.id)
    return list(session.scalars(found))


def find(session: Session, public_id: str) -> Meeting | None:
    found = _of_groups_that_are_there().where(Meeting.public_id == public_id)
    return session.scalar(found)


def between(
    session: Session, zone: ZoneInfo, first: date, last: date, group: Group | None = None
) -> list[Occurrence]:
    """List what is held, or cancelled, from a first to a last day, by time."""
    found = [
        each
        for meeting in shown(session, group)
        for each in recurrence.occurrences(meeting, zone, first, last)
    ]
    return sorted(found, key=lambda each: (each.starts, each.meeting.id))


def coming(
    session: Session, zone: ZoneInfo, at: datetime, number: int, group: Group | None = None
) -> list[Occurrence]:
    """List the next meetings that have not ended, within a year; cancelled days among them."""
    today = at.astimezone(zone).date()
    found = between(session, zone, today, today + YEAR, group)
    return [each for each in found if each.ends > at][:number]


def next_held(
    session: Session, zone: ZoneInfo, at: datetime, number: int, group: Group
) -> list[Occurrence]:
    """List a group's next meetings that take place."""
    found = coming(session, zone, at, 100, group)
    return [each for each in found if not each.is_cancelled][:number]


def over(session: Session, at: datetime) -> list[Meeting]:
    """List the meetings of which no calendar needs to hear any more."""
    gone = (at - KEPT).date()
    is_moved = exists().where(MeetingChange.meeting_id == Meeting.id, MeetingChange.held_on >= gone)
    is_past = (
        ((Meeting.repeats == "once") & (Meeting.starts_on < gone)) | (Meeting.until < gone)
    ) & ~is_moved
    return list(
        session.scalars(select(Meeting).where(is_past | (Meeting.cancelled_at < at - KEPT)))
    )


def _of_groups_that_are_there() -> Select[Meeting]:
    return (
        select(Meeting)
        .join(Group)
        .where(Group.retired_at.is_(None))
        .options(selectinload(Meeting.changes), selectinload(Meeting.group))
    )
