"""What is wrong with a planned meeting: with its days, its rule, and the change of the clocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from belong_mail.languages import marked
from belong_mail.meetings import recurrence
from belong_mail.meetings.models import Meeting
from belong_mail.meetings.recurrence import FIRST, LAST, NoSuchTime

MOST_EXCEPTIONS = 40
FIFTH = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """A field of the form, and words to be translated that say what is wrong with it."""

    field: str
    words: str
    day: date | None = None
    """Named in the words as %(date)s."""


def problems(meeting: Meeting, zone: ZoneInfo) -> list[Problem]:
    """Look a planned meeting through; where its days cannot be, nothing else is looked at."""
    return [*_edges(meeting)] or [*_rule(meeting)] or [*_days(meeting, zone)]


def problems_of_day(
    held_on: date, starts_at: time, ends_at: time, zone: ZoneInfo
) -> Iterator[Problem]:
    """Look at one day's other time."""
    if not FIRST <= held_on <= LAST:
        yield Problem("held_on", FAR)
        return
    if ends_at <= starts_at:
        yield Problem("ends_at", BACKWARDS)
    try:
        for clock in (starts_at, ends_at):
            recurrence.refuse_skipped_time(datetime.combine(held_on, clock, zone))
    except NoSuchTime as error:
        yield Problem("starts_at", SKIPPED, error.day)


def is_day(text: str) -> bool:
    """Tell whether a text is a day, in the spelling that we ask for."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


FAR = marked("Choose a day between 2020 and 2037.")
BACKWARDS = marked("The end is not after the beginning.")
SKIPPED = marked("The clocks go forward on %(date)s, and this time does not exist then.")


def _edges(meeting: Meeting) -> Iterator[Problem]:
    if not FIRST <= meeting.starts_on <= LAST:
        yield Problem("starts_on", FAR)
    if meeting.until and not FIRST <= meeting.until <= LAST:
        yield Problem("until", FAR)
    elif meeting.until and meeting.repeats == "once":
        yield Problem("until", marked("Held once, a meeting has no “until”. Leave it empty."))
    elif meeting.until and meeting.until < meeting.starts_on:
        yield Problem("until", marked("This is before the first day."))
    if meeting.ends_at <= meeting.starts_at:
        yield Problem("ends_at", BACKWARDS)


def _rule(meeting: Meeting) -> Iterator[Problem]:
    if meeting.repeats == "monthly" and recurrence.nth(meeting.starts_on) == FIFTH:
        words = marked("Not every month has a fifth such weekday. Choose the last, or another day.")
        yield Problem("starts_on", words)
    if meeting.repeats == "monthly-last" and not recurrence.is_last(meeting.starts_on):
        yield Problem("starts_on", marked("This is not the last such weekday of its month."))
    if len(meeting.exceptions) > MOST_EXCEPTIONS:
        yield Problem("exceptions", marked("These are too many days: name 40 at most."))


def _days(meeting: Meeting, zone: ZoneInfo) -> Iterator[Problem]:
    exceptions = [date.fromisoformat(each) for each in meeting.exceptions]
    whole = Meeting(
        starts_on=meeting.starts_on, repeats=meeting.repeats, until=meeting.until, exceptions=[]
    )
    for day in exceptions:
        if day not in recurrence.days(whole, day, day):
            yield Problem("exceptions", marked("There is no meeting on %(date)s anyway."), day)
    if not recurrence.next_days(meeting, FIRST, 1):
        yield Problem("exceptions", marked("No day is left on which the meeting is held."))
    try:
        recurrence.refuse_skipped(meeting, zone)
    except NoSuchTime as error:
        yield Problem("starts_at", SKIPPED, error.day)
