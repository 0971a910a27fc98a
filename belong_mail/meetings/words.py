"""Meetings in words: rules, days and what a reader may know of place and link."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, time

from babel.dates import format_date, format_time

from belong_mail.groups.cards import said
from belong_mail.languages import DATE, catalog, marked
from belong_mail.meetings.models import Meeting
from belong_mail.meetings.recurrence import Occurrence, nth

RULES = {
    "once": "%(date)s",
    "weekly": marked("Every %(weekday)s"),
    "weekly-2": marked("Every second %(weekday)s"),
    "weekly-3": marked("Every third %(weekday)s"),
    "weekly-4": marked("Every fourth %(weekday)s"),
    "monthly-1": marked("First %(weekday)s of each month"),
    "monthly-2": marked("Second %(weekday)s of each month"),
    "monthly-3": marked("Third %(weekday)s of each month"),
    "monthly-4": marked("Fourth %(weekday)s of each month"),
    "monthly-last": marked("Last %(weekday)s of each month"),
}
SPOKEN = {
    "en": marked("In English"),
    "es": marked("In Spanish"),
    "both": marked("In English and Spanish"),
    "other": marked("In another language"),
}
ACCESS = {
    "interpreter": marked("Interpreter"),
    "asl": marked("American Sign Language"),
    "captions": marked("Captions"),
    "step-free": marked("Step-free access"),
}
TITLE = marked("Belong meeting")
DAY = {"en": "MMMM d, y", "es": "d 'de' MMMM 'de' y"}
SHORT_DAY = {"en": "MMMM d", "es": "d 'de' MMMM"}
MARKS = str.maketrans({**{mark: f"\\{mark}" for mark in "\\`*_[]<>#|~!&"}, "{": "(", "}": ")"})


@dataclass(frozen=True, slots=True)
class Shown:
    """An occurrence as one reader sees it."""

    meeting_id: str
    day: date
    date: str
    clock: str
    iso: str
    title: str
    place: str
    link: str
    contact: str
    details: list[tuple[str, str]]
    """What it is (for an icon), and the words."""
    is_cancelled: bool
    is_changed: bool
    is_for_members: bool
    """Whether place and link are left out here, because members alone may know them."""


def shown(occurrence: Occurrence, language: str, *, is_member: bool = False) -> Shown:
    """Say an occurrence; what members alone may know stands there for members alone."""
    meeting = occurrence.meeting
    may_know = is_member or meeting.is_open
    return Shown(
        meeting_id=meeting.public_id,
        day=occurrence.day,
        date=full_date(occurrence.held_on, language),
        clock=clock(occurrence.starts.time(), occurrence.ends.time(), language),
        iso=occurrence.starts.isoformat(),
        title=title(meeting, language),
        place=occurrence.place if may_know else "",
        link=occurrence.link if may_know else "",
        contact=meeting.contact if may_know else "",
        details=details(meeting, language),
        is_cancelled=occurrence.is_cancelled,
        is_changed=occurrence.is_changed,
        is_for_members=not may_know,
    )


def title(meeting: Meeting, language: str) -> str:
    return said(meeting.title, language) or catalog(language).ugettext(TITLE)


def details(meeting: Meeting, language: str) -> list[tuple[str, str]]:
    """Say who may come, in what language it is held, and what helps people to take part."""
    families = marked("Families welcome") if meeting.has_families else marked("For staff")
    named = [("people", families), ("spoken", SPOKEN[meeting.spoken])]
    named += [(key, words) for key, words in ACCESS.items() if key in meeting.access]
    return [(key, catalog(language).ugettext(words)) for key, words in named]


def rule(meeting: Meeting, language: str) -> str:
    """Say the whole rule, as in “Every second Tuesday, 4:00–5:00 pm, until June 2, 2027”."""
    say = catalog(language).ugettext
    first = meeting.starts_on
    key = f"monthly-{nth(first)}" if meeting.repeats == "monthly" else meeting.repeats
    words = say(RULES[key]) % {
        "date": full_date(first, language),
        "weekday": format_date(first, "EEEE", locale=language),
    }
    parts = [words, clock(meeting.starts_at, meeting.ends_at, language)]
    if meeting.until:
        parts.append(say(marked("until %(date)s")) % {"date": in_words(meeting.until, language)})
    if meeting.exceptions:
        parts.append(say(marked("not on %(dates)s")) % {"dates": _listed(meeting, language)})
    return ", ".join(parts)


def clock(starts: time, ends: time, language: str) -> str:
    """Say hours as in “4:00–5:00 pm”."""
    first, last = (_clock(each, language) for each in (starts, ends))
    is_same_half = first[1] == last[1]
    return (
        f"{first[0]}–{' '.join(last)}" if is_same_half else " – ".join(map(" ".join, (first, last)))
    )


def full_date(day: date, language: str) -> str:
    return format_date(day, DATE[language], locale=language)


def in_words(day: date, language: str) -> str:
    return format_date(day, DAY[language], locale=language)


def markdown(occurrences: Iterable[Occurrence], language: str) -> str:
    """Write meetings as a Markdown list for an issue, which goes to members."""
    say = catalog(language).ugettext
    lines = [f"## {say(marked('The next meetings'))}", ""]
    for occurrence in occurrences:
        each = shown(occurrence, language, is_member=True)
        line = f"- **{each.date}, {each.clock}**: {_plain(each.title)}"
        line += f". {_plain(each.place)}" if each.place else ""
        link = f" [{say(marked('Take part online'))}](<{each.link}>)" if each.link else ""
        lines.append(line + link)
    return "\n".join(lines)


def _listed(meeting: Meeting, language: str) -> str:
    """List the exceptions, with their years only where these could be mistaken."""
    days = [date.fromisoformat(each) for each in sorted(meeting.exceptions)]
    is_long = meeting.until is None or (meeting.until - meeting.starts_on).days >= 365  # noqa: PLR2004
    pattern = (DAY if is_long else SHORT_DAY)[language]
    return "; ".join(format_date(day, pattern, locale=language) for day in days)


def _clock(moment: time, language: str) -> tuple[str, str]:
    hours = format_time(moment, "h:mm", locale=language)
    half = format_time(moment, "a", locale=language).lower()
    return hours, " ".join(half.split())


def _plain(text: str) -> str:
    return text.translate(MARKS)
