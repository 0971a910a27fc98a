"""The leads' verbs about meetings: add, change, cancel; one day or all."""

from dataclasses import dataclass
from datetime import date, time
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts.models import Account
from belong_mail.accounts.service import NotYours, led_by
from belong_mail.db import now, to_change
from belong_mail.groups.models import Group
from belong_mail.meetings import recurrence
from belong_mail.meetings.models import Meeting, MeetingChange


@dataclass(frozen=True, slots=True)
class OtherTime:
    """When and where one day's meeting is held instead."""

    held_on: date
    starts_at: time
    ends_at: time
    place: str
    link: str


def led(session: Session, account: Account, group: Group) -> list[Meeting]:
    """List what the leads of a group see: all that is kept, the newest first."""
    found = select(Meeting).where(
        Meeting.group_id == group.id, Meeting.group_id.in_(led_by(account))
    )
    return list(session.scalars(found.order_by(Meeting.starts_on.desc(), Meeting.id.desc())))


def find_led(session: Session, account: Account, public_id: str) -> Meeting:
    """Find a meeting of a group that an account leads, to read or to change; or raise NotYours."""
    found = (
        select(Meeting)
        .join(Group)
        .where(
            Meeting.public_id == public_id,
            Meeting.group_id.in_(led_by(account)),
            Group.retired_at.is_(None),
        )
    )
    meeting: Meeting | None = session.scalar(to_change(session, found))
    if meeting is None:
        raise NotYours
    return meeting


def add(session: Session, group: Group, **planned: Any) -> Meeting:
    """Add a meeting to a group; `planned` are columns of Meeting."""
    meeting = Meeting(group=group, **planned)
    session.add(meeting)
    session.flush()
    return meeting


def change(meeting: Meeting, **planned: Any) -> None:
    """Change all of a meeting; days that are no days of it any more lose what was special."""
    for column, value in planned.items():
        setattr(meeting, column, value)
    meeting.cancelled_at = None
    days = set(recurrence.days(meeting))
    meeting.changes = [each for each in meeting.changes if each.day in days]
    _touch(meeting)


def cancel(meeting: Meeting) -> None:
    """Cancel every day; calendars are told, and the second time nothing more happens."""
    if meeting.cancelled_at is None:
        meeting.cancelled_at = now()
        _touch(meeting)


def change_day(meeting: Meeting, day: date, other: OtherTime) -> None:
    """Hold one day's meeting at another time or place."""
    each = _change_of(meeting, day)
    each.is_cancelled = False
    each.held_on, each.starts_at, each.ends_at = other.held_on, other.starts_at, other.ends_at
    each.place, each.link = other.place, other.link
    _touch(meeting)


def cancel_day(meeting: Meeting, day: date) -> None:
    _change_of(meeting, day).is_cancelled = True
    _touch(meeting)


def restore_day(meeting: Meeting, day: date) -> None:
    """Hold one day's meeting as the rule says."""
    meeting.changes = [each for each in meeting.changes if each.day != day]
    _touch(meeting)


def _change_of(meeting: Meeting, day: date) -> MeetingChange:
    """Return what is special about a day; at first nothing is."""
    for each in meeting.changes:
        if each.day == day:
            return each
    new = MeetingChange(
        day=day,
        is_cancelled=False,
        held_on=day,
        starts_at=meeting.starts_at,
        ends_at=meeting.ends_at,
        place=meeting.place,
        link=meeting.link,
    )
    meeting.changes.append(new)
    return new


def _touch(meeting: Meeting) -> None:
    """Number the change, so that calendars know which is the newest (RFC 5545, 3.8.7.4)."""
    meeting.sequence += 1
    meeting.changed_at = now()
