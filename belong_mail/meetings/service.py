"""Find and change meetings."""

import logging
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Date, bindparam, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from belong_mail.accounts.models import Account
from belong_mail.accounts.service import GROUPS_LED, NotFound
from belong_mail.core import audit
from belong_mail.core.audit import Kind
from belong_mail.core.db import lock_for_change, now, required
from belong_mail.groups.models import Group
from belong_mail.meetings import recurrence
from belong_mail.meetings.models import Meeting, MeetingChange
from belong_mail.meetings.recurrence import Occurrence

log = logging.getLogger(__name__)
LISTED_AHEAD = timedelta(days=366)
# Next days on a group's pages and poster, on a member's card, and in a welcome.
NEXT = 3
# Meetings of groups that are not retired, with changes loaded.
_OF_A_GROUP = (
    select(Meeting)
    .join(Group)
    .where(Group.retired_at.is_(None))
    .options(joinedload(Meeting.changes))
    .order_by(Meeting.id)
)
MEETINGS = _OF_A_GROUP.options(contains_eager(Meeting.group))
_HAS_RULE = Meeting.repeats.in_(recurrence.RULES)
_FIRST, _LAST = bindparam("first", type_=Date()), bindparam("last", type_=Date())
# May have a day between two dates, or one moved there.
_IS_BETWEEN = (Meeting.starts_on <= _LAST) & (
    Meeting.until.is_(None) | (Meeting.until >= _FIRST)
) | Meeting.changes.any(MeetingChange.held_on.between(_FIRST, _LAST))
BETWEEN = MEETINGS.where(_IS_BETWEEN)
OF_GROUP_BETWEEN = _OF_A_GROUP.where(_IS_BETWEEN, Meeting.group_id == bindparam("group_id"))


def listed(session: Session, group: Group | None = None) -> list[Meeting]:
    """List meetings of a group, or of all groups that are not retired, including canceled ones."""
    found = MEETINGS if group is None else MEETINGS.where(Meeting.group_id == group.id)
    return list(session.scalars(found).unique())


def find(session: Session, public_id: str) -> Meeting | None:
    """Find a meeting, unless its rule is invalid, which our form does not allow."""
    which = Meeting.public_id == public_id, _HAS_RULE
    return session.scalars(MEETINGS.where(*which)).unique().one_or_none()


def held_between(
    session: Session, zone: ZoneInfo, first: date, last: date, group: Group | None = None
) -> list[Occurrence]:
    """List days that are held or canceled between two dates, by time.

    A meeting whose row is invalid is logged and left out.
    """
    found: list[Occurrence] = []
    between = {"first": first, "last": last}
    if group is None:
        meetings = session.scalars(BETWEEN, between)
    else:
        meetings = session.scalars(OF_GROUP_BETWEEN, {**between, "group_id": group.id})
    for meeting in meetings.unique():
        try:
            found += recurrence.occurrences(meeting, zone, first, last)
        except Exception as error:  # noqa: BLE001 - a poisoned row must not stop the others
            log.error("Meeting %d is left out: %s", meeting.id, type(error).__name__)  # noqa: TRY400
    return sorted(found, key=lambda each: (each.starts, each.meeting.id))


def upcoming(
    session: Session, zone: ZoneInfo, at: datetime, number: int, group: Group | None = None
) -> list[Occurrence]:
    """List the next days that have not ended, within a year, including canceled ones."""
    today = at.astimezone(zone).date()
    found = held_between(session, zone, today, today + LISTED_AHEAD, group)
    return [each for each in found if each.ends > at][:number]


def next_held(
    session: Session, zone: ZoneInfo, at: datetime, number: int, group: Group
) -> list[Occurrence]:
    """List a group's next days that take place."""
    found = upcoming(session, zone, at, 100, group)
    return [each for each in found if not each.is_cancelled][:number]


def of_group(session: Session, group: Group) -> list[Meeting]:
    """List the meetings of a group whose rule is valid, newest first."""
    found = select(Meeting).where(Meeting.group_id == group.id, _HAS_RULE)
    return list(session.scalars(found.order_by(Meeting.starts_on.desc(), Meeting.id.desc())))


def find_for_lead(session: Session, account: Account, public_id: str) -> Meeting:
    """Find a meeting of a group that the account leads, locked for update. Raises NotFound."""
    found = (
        select(Meeting)
        .join(Group)
        .where(
            Meeting.public_id == public_id,
            Meeting.group_id.in_(GROUPS_LED),
            Group.retired_at.is_(None),
            _HAS_RULE,
        )
    )
    by = {"account_id": account.id}
    meeting: Meeting | None = session.scalar(lock_for_change(session, found), by)
    return required(meeting, NotFound)


def add(session: Session, group: Group, **planned: Any) -> Meeting:
    """Add a meeting; `planned` are columns of Meeting."""
    meeting = Meeting(group=group, **planned)
    session.add(meeting)
    session.flush()
    audit.record(session, Kind.MEETING_ADDED, group=group, detail=meeting.public_id)
    return meeting


def change(meeting: Meeting, **planned: Any) -> None:
    """Change a meeting; changes of days that the rule no longer has are deleted."""
    for column, value in planned.items():
        setattr(meeting, column, value)
    meeting.cancelled_at = None
    days = set() if meeting.repeats == "once" else set(recurrence.days(meeting))
    meeting.changes = [each for each in meeting.changes if each.day in days]
    _note_change(meeting, Kind.MEETING_CHANGED)


def cancel(meeting: Meeting) -> None:
    """Cancel the whole meeting, unless it is canceled; it stays in calendars as canceled."""
    if meeting.cancelled_at is None:
        meeting.cancelled_at = now()
        _note_change(meeting, Kind.MEETING_CANCELLED)


def change_day(meeting: Meeting, day: date, **planned: Any) -> None:
    """Move one day of a meeting; `planned` are columns of MeetingChange."""
    each = _change_of(meeting, day)
    each.is_cancelled = False
    for column, value in planned.items():
        setattr(each, column, value)
    _note_change(meeting, Kind.MEETING_DAY_CHANGED)


def cancel_day(meeting: Meeting, day: date) -> None:
    _change_of(meeting, day).is_cancelled = True
    _note_change(meeting, Kind.MEETING_DAY_CANCELLED)


def restore_day(meeting: Meeting, day: date) -> None:
    """Undo the change or cancellation of one day."""
    meeting.changes = [each for each in meeting.changes if each.day != day]
    _note_change(meeting, Kind.MEETING_DAY_RESTORED)


def _change_of(meeting: Meeting, day: date) -> MeetingChange:
    """Return the change of a day; if there is none, add one that changes nothing."""
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


def _note_change(meeting: Meeting, kind: Kind) -> None:
    """Increase SEQUENCE, by which calendars recognize a newer version (RFC 5545, 3.8.7.4)."""
    meeting.sequence += 1
    meeting.changed_at = now()
    audit.record_of(meeting, kind, meeting.group, meeting.public_id)
