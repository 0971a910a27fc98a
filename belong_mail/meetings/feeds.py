"""Calendars for machines (RFC 5545): neither a person nor a request stands in them."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from icalendar import (
    Calendar,
    Event,
    Timezone,
    TimezoneDaylight,
    TimezoneStandard,
)

from belong_mail.groups.models import QUIET
from belong_mail.languages import catalog, marked
from belong_mail.meetings import recurrence, words
from belong_mail.meetings.models import Meeting
from belong_mail.meetings.recurrence import Occurrence

PRODUCT = "-//DPS Belong//Belong Mail//EN"
HOUR = timedelta(hours=1)
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
YEAR = recurrence.FIRST.year - 1
"""The changes of the clocks are described from here on, so that they hold for every meeting."""


def of_meetings(meetings: list[Meeting], zone: ZoneInfo, language: str, name: str) -> bytes:
    """Write meetings with all their days; the same rows give the same bytes."""
    calendar = _calendar(zone, name)
    for meeting in meetings:
        for event in _events(meeting, zone, language):
            calendar.add_component(event)
    return bytes(calendar.to_ical())


def of_day(occurrence: Occurrence, zone: ZoneInfo, language: str) -> bytes:
    """Write one day as an event of its own, for whoever wants no more in their calendar."""
    calendar = _calendar(zone, catalog(language).ugettext(words.TITLE))
    uid = f"{occurrence.meeting.public_id}-{occurrence.day:%Y%m%d}"
    calendar.add_component(_event(occurrence, language, uid))
    return bytes(calendar.to_ical())


def _events(meeting: Meeting, zone: ZoneInfo, language: str) -> list[Event]:
    """Return the meeting by its rule, and each day that is otherwise under its RECURRENCE-ID."""
    changed = [recurrence.find(meeting, zone, change.day) for change in meeting.changes]
    otherwise = [each for each in changed if each is not None]
    if meeting.repeats == "once":
        plain = otherwise or recurrence.occurrences(
            meeting, zone, meeting.starts_on, meeting.starts_on
        )
        return [_event(each, language, meeting.public_id) for each in plain]
    first = recurrence.by_rule(meeting, meeting.starts_on, zone)
    series = _event(first, language, meeting.public_id)
    series.add("rrule", _rule(meeting, zone))
    if meeting.exceptions:
        days = [date.fromisoformat(each) for each in meeting.exceptions]
        series.add("exdate", [_begin(meeting, day, zone) for day in days])
    others = []
    for each in otherwise:
        event = _event(each, language, meeting.public_id)
        event.add("recurrence-id", _begin(meeting, each.day, zone))
        others.append(event)
    return [series, *others]


def _event(occurrence: Occurrence, language: str, uid: str) -> Event:
    """Describe an occurrence as anyone may see it; of a quiet group nothing but the time."""
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
    if meeting.group.slug in QUIET:
        event.add("summary", catalog(language).ugettext(words.TITLE))
        return event
    shown = words.shown(occurrence, language)
    event.add("summary", f"{meeting.group.name}: {shown.title}")
    event.add("description", "\n".join(_description(language, shown)))
    if shown.place:
        event.add("location", shown.place)
    if shown.link:
        event.add("url", shown.link)
    return event


def _description(language: str, shown: words.Shown) -> list[str]:
    say = catalog(language).ugettext
    lines = [said for _key, said in shown.details]
    if shown.contact:
        lines.append(say(marked("Whom to ask: %(name)s")) % {"name": shown.contact})
    if shown.is_for_members:
        lines.append(say(marked("Members get the place by mail.")))
    return lines


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


def _calendar(zone: ZoneInfo, name: str) -> Calendar:
    calendar = Calendar()
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
    """Describe a zone by rules, which every calendar reads, and which have no last year."""
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
