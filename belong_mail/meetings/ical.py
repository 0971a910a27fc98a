"""Write calendars (RFC 5545), which contain nothing about a person or a request."""

import logging
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from itertools import pairwise
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, Timezone, TimezoneDaylight, TimezoneStandard

from belong_mail.accounts.service import NotFound
from belong_mail.core.i18n import catalog
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.header_words import identifying_word, is_discreet
from belong_mail.groups.models import Group
from belong_mail.meetings import formatting, recurrence
from belong_mail.meetings.models import Meeting
from belong_mail.meetings.recurrence import Occurrence

PRODUCT = "-//Belong Mail//Belong Mail//EN"
HOUR = timedelta(hours=1)
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
# The year from which changes of the clocks are described: before every meeting.
YEAR = recurrence.FIRST.year - 1
# Control characters that no text may contain (RFC 5545 3.1, 3.3.11): all but tab and line ends.
CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
log = logging.getLogger(__name__)


def calendar_of_meetings(
    meetings: list[Meeting], zone: ZoneInfo, language: str, name: str, *, is_member: bool = False
) -> bytes:
    """Write meetings with all their days; the same rows give the same bytes.

    A meeting whose row is invalid is logged and left out, so that it cannot break the calendar.
    """
    write = partial(_calendar_of, zone=zone, language=language, name=name, is_member=is_member)
    with suppress(Exception):
        return write(meetings)
    return write([each for each in meetings if _is_writable(each, write)])


def _is_writable(meeting: Meeting, write: Callable[[list[Meeting]], bytes]) -> bool:
    try:
        return bool(write([meeting]))
    except Exception:  # noqa: BLE001 - a poisoned row must not stop the others
        log.error("Meeting %d is left out of calendars.", meeting.id)  # noqa: TRY400 - it may quote it
        return False


def _calendar_of(
    meetings: list[Meeting], zone: ZoneInfo, language: str, name: str, *, is_member: bool
) -> bytes:
    calendar = _calendar(zone, name)
    for meeting in meetings:
        for event in _events(meeting, zone, language, is_member=is_member):
            calendar.add_component(event)
    return _written(calendar)


def calendar_of_day(
    occurrence: Occurrence, zone: ZoneInfo, language: str, *, is_member: bool = False
) -> bytes:
    """Write one day as an event of its own, to add to a calendar without the series.

    Raises NotFound for a meeting whose row is invalid.
    """
    calendar = _calendar(zone, catalog(language).gettext(formatting.TITLE))
    uid = f"{occurrence.meeting.public_id}-{occurrence.day:%Y%m%d}"
    try:
        calendar.add_component(_event(occurrence, language, uid, is_member=is_member))
        return _written(calendar)
    except ValueError:
        raise NotFound from None


def _events(meeting: Meeting, zone: ZoneInfo, language: str, *, is_member: bool) -> list[Event]:
    """Return an event for the series, and one with RECURRENCE-ID for each changed day."""
    write = partial(_event, language=language, uid=meeting.public_id, is_member=is_member)
    changed = [recurrence.find_occurrence(meeting, zone, change.day) for change in meeting.changes]
    otherwise = [each for each in changed if each is not None]
    if meeting.repeats == "once":
        plain = otherwise or recurrence.occurrences(
            meeting, zone, meeting.starts_on, meeting.starts_on
        )
        return [write(each) for each in plain]
    series = write(recurrence.occurrence(meeting, meeting.starts_on, zone))
    series.add("rrule", _rule(meeting, zone))
    if meeting.exceptions:
        days = [date.fromisoformat(each) for each in meeting.exceptions]
        series.add("exdate", [_begin(meeting, day, zone) for day in days])
    others = []
    for each in otherwise:
        event = write(each)
        event.add("recurrence-id", _begin(meeting, each.day, zone))
        others.append(event)
    return [series, *others]


def _event(occurrence: Occurrence, language: str, uid: str, *, is_member: bool) -> Event:
    """Return the event of a day, for anyone or for a member.

    Never names a discreet group or its meeting's title: anyone sees only the time, and members also
    location and link, unless these identify the group.
    """
    meeting = occurrence.meeting
    event = Event()
    event.add("uid", uid)
    event.add("dtstamp", meeting.changed_at)
    event.add("last-modified", meeting.changed_at)
    event.add("sequence", meeting.sequence)
    event.add("dtstart", occurrence.starts)
    event.add("dtend", occurrence.ends)
    event.add("class", "PRIVATE")
    event.add("status", "CANCELLED" if occurrence.is_cancelled else "CONFIRMED")
    shown = formatting.meeting_view(occurrence, language, is_member=is_member)
    if is_discreet(meeting.group):
        event.add("summary", catalog(language).gettext(formatting.TITLE))
        if not is_member:
            return event
        shown = _quiet(meeting.group, shown)
        lines = [*_joining(language, shown), *_elsewhere(language, shown)]
    else:
        event.add("summary", f"{meeting.group.name}: {shown.title}")
        lines = _description(language, shown)
    if lines:
        event.add("description", "\n".join(lines))
    if shown.place:
        event.add("location", shown.place)
    if shown.link:
        event.add("url", shown.link)
    return event


def _quiet(group: Group, shown: formatting.MeetingView) -> formatting.MeetingView:
    """Leave out a location or link that identifies a discreet group."""
    said = (shown.place, shown.link)
    place, link = ("" if identifying_word(group, unquote(each)) else each for each in said)
    return replace(shown, place=place, link=link, is_for_members=(place, link) != said)


def _description(language: str, shown: formatting.MeetingView) -> list[str]:
    say = catalog(language).gettext
    lines = [*(said for _key, said in shown.details), *_joining(language, shown)]
    if shown.contact:
        lines.append(say(gettext_noop("Contact person: %(name)s")) % {"name": shown.contact})
    return [*lines, *_elsewhere(language, shown)]


def _elsewhere(language: str, shown: formatting.MeetingView) -> list[str]:
    """Return where to find the location, if it was left out."""
    words = catalog(language).gettext(gettext_noop("Members get the location by email."))
    return [words] if shown.is_for_members else []


def _joining(language: str, shown: formatting.MeetingView) -> list[str]:
    """Return the link as text, as not every calendar shows the URL property."""
    say = catalog(language).gettext
    return [say(gettext_noop("Join online: %(link)s")) % {"link": shown.link}] if shown.link else []


def _rule(meeting: Meeting, zone: ZoneInfo) -> dict[str, object]:
    frequency = "WEEKLY" if meeting.repeats.startswith("weekly") else "MONTHLY"
    _, interval = recurrence.RULES[meeting.repeats] or (0, 1)
    rule: dict[str, object] = {"FREQ": frequency, "INTERVAL": interval}
    day = recurrence.by_day(meeting)
    rule["BYDAY"] = f"{day.n or ''}{WEEKDAYS[day.weekday]}"
    if meeting.until:
        rule["UNTIL"] = _begin(meeting, meeting.until, zone).astimezone(UTC)
    return rule


def _begin(meeting: Meeting, day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, meeting.starts_at, zone)


def _written(calendar: Calendar) -> bytes:
    """Write a calendar. Raises ValueError for a control character, which some programs refuse."""
    content = bytes(calendar.to_ical())
    if CONTROL.search(content):
        raise ValueError
    return content


def _calendar(zone: ZoneInfo, name: str) -> Calendar:
    calendar, name = Calendar(), re.sub(r"[\x00-\x1f\x7f]", "", name)
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("name", name)
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", HOUR, parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", "PT1H")
    calendar.add_component(_timezone(zone))
    return calendar


@cache
def _timezone(zone: ZoneInfo) -> Timezone:
    """Return a VTIMEZONE with unlimited yearly rules, which every calendar program can read."""
    described = Timezone()
    described.add("tzid", zone.key)
    begin = datetime(YEAR, 1, 1, tzinfo=UTC)
    local = [(begin + HOUR * number).astimezone(zone) for number in range(365 * 24)]
    changes = [(a, b) for a, b in pairwise(local) if a.utcoffset() != b.utcoffset()]
    for before, after in changes or [(local[0], local[0])]:
        part = TimezoneDaylight() if after.dst() else TimezoneStandard()
        at = before.replace(tzinfo=None) + HOUR
        part.add("dtstart", at)
        part.add("tzoffsetfrom", before.utcoffset())
        part.add("tzoffsetto", after.utcoffset())
        part.add("tzname", after.tzname())
        if changes:
            place = -1 if recurrence.is_last(at.date()) else recurrence.nth(at.date())
            day = f"{place}{WEEKDAYS[at.weekday()]}"
            part.add("rrule", {"FREQ": "YEARLY", "BYMONTH": at.month, "BYDAY": day})
        described.add_component(part)
    return described
