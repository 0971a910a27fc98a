"""Describe meetings in words: rules, days, and location and link for readers who may see them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from belong_mail.core.i18n import (
    NAMES,
    at_start,
    catalog,
    format_day,
    format_hours,
    format_short,
    format_weekday,
    language_list,
    list_of,
)
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups.presenters import localized
from belong_mail.mail.message.linter import is_direct
from belong_mail.meetings.models import Meeting
from belong_mail.meetings.recurrence import Occurrence, nth

RULES = {
    "once": "%(date)s",
    "weekly": gettext_noop("Every %(weekday)s"),
    "weekly-2": gettext_noop("Every other %(weekday)s"),
    "weekly-3": gettext_noop("Every 3 weeks on %(weekday)s"),
    "weekly-4": gettext_noop("Every 4 weeks on %(weekday)s"),
    "monthly-1": gettext_noop("First %(weekday)s of each month"),
    "monthly-2": gettext_noop("Second %(weekday)s of each month"),
    "monthly-3": gettext_noop("Third %(weekday)s of each month"),
    "monthly-4": gettext_noop("Fourth %(weekday)s of each month"),
    "monthly-last": gettext_noop("Last %(weekday)s of each month"),
}


# Stored values of `spoken` besides a language's code: English and Spanish, or another language.
BOTH, OTHER = "both", "other"
SPOKEN = (*NAMES, BOTH, OTHER)


ACCESS = {
    "interpreter": gettext_noop("Interpreter"),
    "asl": gettext_noop("American Sign Language (ASL)"),
    "captions": gettext_noop("Captions"),
    "step-free": gettext_noop("Wheelchair accessible"),
}


TITLE = gettext_noop("%(program_name)s meeting")
MARKDOWN_ESCAPES = str.maketrans(
    {**{mark: f"\\{mark}" for mark in "\\`*_[]<>#|~!&"}, "{": "(", "}": ")"}
)


@dataclass(frozen=True, slots=True)
class MeetingView:
    """A day of a meeting, formatted for one reader."""

    meeting_id: str
    day: date
    held_on: date
    # For use in a sentence.
    date: str
    clock: str
    # Date and hours, as the beginning of a line.
    when: str
    # Abbreviated month and weekday, as in “Dec” and “Tue”.
    month_short: str
    weekday_short: str
    iso: str
    title: str
    place: str
    link: str
    contact: str
    # Pairs of a key, for the icon, and text.
    details: list[tuple[str, str]]
    is_cancelled: bool
    is_changed: bool
    # Whether location and link are left out because the reader is not known to be a member.
    is_for_members: bool


def meeting_view(occurrence: Occurrence, language: str, *, is_member: bool = False) -> MeetingView:
    """Format a day of a meeting; location and link only if the reader may see them.

    A link that newsletters may not contain is left out: its row may not come from our form.
    """
    meeting = occurrence.meeting
    may_know = is_member or meeting.is_open
    held_on = format_day(occurrence.held_on, language)
    clock = format_hours(occurrence.starts.time(), occurrence.ends.time(), language)
    return MeetingView(
        meeting_id=meeting.public_id,
        day=occurrence.day,
        held_on=occurrence.held_on,
        date=held_on,
        clock=clock,
        when=at_start(f"{held_on}, {clock}"),
        month_short=at_start(format_short(occurrence.held_on, language, "MMM")),
        weekday_short=at_start(format_short(occurrence.held_on, language, "EEE")),
        iso=occurrence.starts.isoformat(),
        title=title(meeting, language),
        place=occurrence.place if may_know else "",
        link=occurrence.link if may_know and is_direct(occurrence.link) else "",
        contact=meeting.contact if may_know else "",
        details=details(meeting, language),
        is_cancelled=occurrence.is_cancelled,
        is_changed=occurrence.is_changed,
        is_for_members=not may_know,
    )


def title(meeting: Meeting, language: str) -> str:
    return localized(meeting.title, language) or catalog(language).gettext(TITLE)


def details(meeting: Meeting, language: str) -> list[tuple[str, str]]:
    """Return who may come, in which language, and accessibility, as pairs of key and text."""
    families = (
        gettext_noop("Families welcome") if meeting.has_families else gettext_noop("For staff")
    )
    say = catalog(language).gettext
    access = [(key, say(words)) for key, words in ACCESS.items() if key in meeting.access]
    spoken = ("spoken", spoken_text(meeting.spoken, language))
    return [("people", say(families)), spoken, *access]


def spoken_text(spoken: str, language: str) -> str:
    """Describe the language of a meeting, from a value in SPOKEN."""
    say = catalog(language).gettext
    if spoken not in {*NAMES, BOTH}:
        return say(gettext_noop("In another language"))
    codes = ("en", "es") if spoken == BOTH else (spoken,)
    return say(gettext_noop("In %(language)s")) % {"language": language_list(codes, language)}


def rule_text(meeting: Meeting, language: str) -> str:
    """Return the rule in words: “Every other Tuesday, 4:00–5:00 PM, until June 2, 2027”."""
    say = catalog(language).gettext
    first = meeting.starts_on
    key = f"monthly-{nth(first)}" if meeting.repeats == "monthly" else meeting.repeats
    words = say(RULES[key]) % {
        "date": format_day(first, language),
        "weekday": format_weekday(first, language),
    }
    parts = [words, format_hours(meeting.starts_at, meeting.ends_at, language)]
    if meeting.until:
        until = format_day(meeting.until, language, "long")
        parts.append(say(gettext_noop("until %(date)s")) % {"date": until})
    if meeting.exceptions:
        parts.append(say(gettext_noop("except %(dates)s")) % {"dates": _listed(meeting, language)})
    return at_start(", ".join(parts))


def meeting_markdown(occurrences: Iterable[Occurrence], language: str) -> str:
    """Return meetings as a Markdown list for a newsletter, which members read."""
    say = catalog(language).gettext
    lines = [f"## {say(gettext_noop('The next meetings'))}", ""]
    for occurrence in occurrences:
        each = meeting_view(occurrence, language, is_member=True)
        line = f"- **{each.when}**: {each.title.translate(MARKDOWN_ESCAPES)}"
        line += f". {each.place.translate(MARKDOWN_ESCAPES)}" if each.place else ""
        link = f" [{say(gettext_noop('Join online'))}](<{each.link}>)" if each.link else ""
        lines.append(line + link)
    return "\n".join(lines)


def _listed(meeting: Meeting, language: str) -> str:
    """Return the exceptions in words, with the year only if the series is long."""
    say = catalog(language).gettext(gettext_noop("on %(date)s"))
    days = [date.fromisoformat(each) for each in sorted(meeting.exceptions)]
    is_long = meeting.until is None or (meeting.until - meeting.starts_on).days >= 365  # noqa: PLR2004
    width = "long" if is_long else "short"
    return list_of([say % {"date": format_day(day, language, width)} for day in days], language)
