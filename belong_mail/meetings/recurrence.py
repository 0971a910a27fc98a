"""Compute a meeting's days from its rule, in local time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, product
from zoneinfo import ZoneInfo

from dateutil.rrule import FR, MO, MONTHLY, SA, SU, TH, TU, WE, WEEKLY, rrule, weekday

from belong_mail.meetings.models import Meeting, MeetingChange

RULES = {
    "once": None,
    "weekly": (WEEKLY, 1),
    "weekly-2": (WEEKLY, 2),
    "weekly-3": (WEEKLY, 3),
    "weekly-4": (WEEKLY, 4),
    "monthly": (MONTHLY, 1),
    "monthly-last": (MONTHLY, 1),
}


# Limits of meetings' dates.
FIRST, LAST = date(2020, 1, 1), date(2037, 12, 31)
WEEKDAYS = (MO, TU, WE, TH, FR, SA, SU)
DAY, WEEK = timedelta(days=1), timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One day of a meeting, with its change applied."""

    meeting: Meeting
    # The day by the rule, which identifies it.
    day: date
    starts: datetime
    ends: datetime
    place: str
    link: str
    is_cancelled: bool
    is_changed: bool

    @property
    def held_on(self) -> date:
        return self.starts.date()


def nth(day: date) -> int:
    """Return a date's place among the same weekdays of its month: 1 for a first Tuesday."""
    return (day.day - 1) // 7 + 1


def is_last(day: date) -> bool:
    """Return whether a date is the last of its weekday in the month."""
    return (day + WEEK).month != day.month


def by_day(meeting: Meeting) -> weekday:
    """Return the weekday of a rule, with its number in the month for monthly rules."""
    day: weekday = WEEKDAYS[meeting.starts_on.weekday()]
    if meeting.repeats == "monthly":
        day = day(nth(meeting.starts_on))
    elif meeting.repeats == "monthly-last":
        day = day(-1)
    return day


def days(meeting: Meeting, first: date = FIRST, last: date = LAST) -> Iterator[date]:
    """Yield the rule's days between two dates, without exceptions; ignores changed days."""
    last = min(last, meeting.until or LAST)
    rule = RULES[meeting.repeats]
    if rule is None:
        found = iter([meeting.starts_on])
    else:
        frequency, interval = rule
        # Start near the first date: a row that the web wrote may start very long ago.
        step = interval * WEEK if frequency == WEEKLY else DAY
        ahead = max(first - meeting.starts_on, timedelta()) // step * step
        rule_days = rrule(  # type: ignore[no-untyped-call]
            frequency,
            interval=interval,
            byweekday=by_day(meeting),
            dtstart=datetime.combine(meeting.starts_on + ahead, time()),
            until=datetime.combine(last, time()),
        )
        found = (each.date() for each in rule_days)
    for day in found:
        if first <= day <= last and day.isoformat() not in meeting.exceptions:
            yield day


def occurrences(meeting: Meeting, zone: ZoneInfo, first: date, last: date) -> list[Occurrence]:
    """List the days that are held or canceled between two dates, by time."""
    changes = {change.day: change for change in meeting.changes}
    plain = [
        occurrence(meeting, day, zone) for day in days(meeting, first, last) if day not in changes
    ]
    other = [
        occurrence(meeting, change.day, zone, change)
        for change in meeting.changes
        if first <= change.held_on <= last
    ]
    return sorted(plain + other, key=lambda each: each.starts)


def find_occurrence(meeting: Meeting, zone: ZoneInfo, day: date) -> Occurrence | None:
    """Find an occurrence by its day in the rule."""
    for change in meeting.changes:
        if change.day == day:
            return occurrence(meeting, day, zone, change)
    is_day = day in days(meeting, day, day)
    return occurrence(meeting, day, zone) if is_day else None


def next_held(meeting: Meeting, after: date) -> date | None:
    """Return the first date from a day on when the meeting takes place, or None."""
    if meeting.cancelled_at:
        return None
    changed = {change.day for change in meeting.changes}
    plain = (day for day in days(meeting, after) if day not in changed)
    moved = [each.held_on for each in meeting.changes if not each.is_cancelled]
    return min([*islice(plain, 1), *(day for day in moved if day >= after)], default=None)


def skipped_day(days: Iterable[date], clocks: Iterable[time], zone: ZoneInfo) -> date | None:
    """Return the first day on which a change to daylight saving skips one of the times."""
    for local in (datetime.combine(day, clock, zone) for day, clock in product(days, clocks)):
        back = local.astimezone(UTC).astimezone(zone)
        if back.replace(tzinfo=None) != local.replace(tzinfo=None):
            return local.date()
    return None


def occurrence(
    meeting: Meeting, day: date, zone: ZoneInfo, change: MeetingChange | None = None
) -> Occurrence:
    """Return a day of the meeting, by its rule or as that day was changed."""
    held_on, plan = (change.held_on, change) if change else (day, meeting)
    is_day_cancelled = change is not None and change.is_cancelled
    return Occurrence(
        meeting=meeting,
        day=day,
        starts=datetime.combine(held_on, plan.starts_at, zone),
        ends=datetime.combine(held_on, plan.ends_at, zone),
        place=plan.place,
        link=plan.link,
        is_cancelled=is_day_cancelled or meeting.cancelled_at is not None,
        is_changed=change is not None and not is_day_cancelled,
    )
