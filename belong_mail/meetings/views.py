"""The public calendar and feeds, without cookies."""

from calendar import Calendar
from datetime import date, timedelta
from itertools import groupby
from math import ceil
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, request
from sqlalchemy.orm import Session

from belong_mail.groups import service as groups
from belong_mail.groups.header_words import is_discreet
from belong_mail.groups.models import Group
from belong_mail.groups.presenters import GroupView, group_view
from belong_mail.meetings import formatting, recurrence, service
from belong_mail.meetings.models import Meeting
from belong_mail.meetings.recurrence import Occurrence
from belong_mail.web.access import public
from belong_mail.web.context import services, today
from belong_mail.web.language import gettext as _
from belong_mail.web.language import request_language
from belong_mail.web.page import Page, page

meetings = Blueprint("meetings", __name__)
AHEAD = timedelta(days=92)
SUNDAY = 6
# Font sizes for a month on one sheet: characters per line, and the most lines of all weeks.
DENSITIES = {"roomy": (26, 42), "crowded": (33, 54)}
PACKED = "packed"
CALENDAR = "text/calendar; charset=utf-8"
# The query argument with a group's slug.
GROUP = "group"


@meetings.get("/calendar")
@public
def calendar(session: Session) -> Page:
    """Show three months of meetings, of all groups or of one."""
    language, first = request_language(), today()
    group = _chosen(session)
    found = service.held_between(session, _zone(), first, first + AHEAD)
    meeting = sorted({each.meeting.group for each in found}, key=lambda it: it.position)
    listed = [group_view(each, language) for each in meeting]
    shown = [each for each in found if group in {None, each.meeting.group}]
    months = [
        (month, [_shown(each, language) for each in held])
        for month, held in groupby(shown, key=lambda each: each.held_on.replace(day=1))
    ]
    chosen = group_view(group, language) if group else None
    return page("meetings/calendar.html", months=months, groups=listed, chosen=chosen)


@meetings.get("/calendar/<month>")
@public
def month(session: Session, month: str) -> Page:
    """Show one month for printing on one sheet."""
    first = _day(f"{month}-01")
    language = request_language()
    weeks = Calendar(SUNDAY).monthdatescalendar(first.year, first.month)
    group = _chosen(session)
    found = service.held_between(session, _zone(), weeks[0][0], weeks[-1][-1], group)
    by_day = {
        day: [_shown(each, language) for each in held]
        for day, held in groupby(found, key=lambda each: each.held_on)
    }
    chosen = group_view(group, language) if group else None
    days = [
        [by_day.get(day, []) if day.month == first.month else [] for day in week] for week in weeks
    ]
    fit = {"is_empty": not any(map(any, days)), "density": _density(days)}
    shown = {"first": first, "weeks": weeks, "by_day": by_day, "chosen": chosen, **_near(first)}
    return page("meetings/month.html", **shown, **fit)


@meetings.get("/calendar.ics")
@public
def feed(session: Session) -> Response:
    """Return all groups' meetings as a feed."""
    return calendar_of(service.listed(session), _("%(program_name)s meetings"))


@meetings.get("/groups/<slug>/calendar.ics")
@public
def group_feed(session: Session, slug: str) -> Response:
    group = groups.find(session, slug) or abort(404)
    name = _("%(program_name)s meetings") if is_discreet(group) else group.name
    return calendar_of(service.listed(session, group), name)


def calendar_of(found: list[Meeting], name: str, *, is_member: bool = False) -> Response:
    from belong_mail.meetings import ical  # noqa: PLC0415 - its library has 80 modules

    said = _zone(), request_language(), name
    content = ical.calendar_of_meetings(found, *said, is_member=is_member)
    return Response(content, content_type=CALENDAR)


@meetings.get("/meetings/<meeting_id>/<day>.ics")
@public
def event(session: Session, meeting_id: str, day: str) -> Response:
    """Return one day of a meeting as a file."""
    meeting = service.find(session, meeting_id) or abort(404)
    return day_file(occurrence_on(meeting, day))


def occurrence_on(meeting: Meeting, day: str) -> Occurrence:
    """Find a day of a meeting by its date in a URL, or answer 404."""
    return recurrence.find_occurrence(meeting, _zone(), _day(day)) or abort(404)


def day_file(occurrence: Occurrence, *, is_member: bool = False) -> Response:
    from belong_mail.meetings import ical  # noqa: PLC0415 - as above

    content = ical.calendar_of_day(occurrence, _zone(), request_language(), is_member=is_member)
    return calendar_file(Response(content, content_type=CALENDAR), "meeting.ics")


def calendar_file(answer: Response, name: str) -> Response:
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _shown(occurrence: Occurrence, language: str) -> tuple[GroupView, formatting.MeetingView]:
    return group_view(occurrence.meeting.group, language), formatting.meeting_view(
        occurrence, language
    )


def _chosen(session: Session) -> Group | None:
    """Return the group in the query, or answer 404 for an unknown one."""
    slug = request.args.get(GROUP)
    return (groups.find(session, slug) or abort(404)) if slug else None


def _day(text: str) -> date:
    """Parse a date in a URL, or answer 404; only the canonical form is valid."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        abort(404)
    is_ours = recurrence.FIRST <= day <= recurrence.LAST and day.isoformat() == text
    return day if is_ours else abort(404)


def _density(weeks: list[list[list[tuple[GroupView, formatting.MeetingView]]]]) -> str:
    """Return the largest font size at which the weeks fit on one sheet."""
    for name, (characters, most_lines) in DENSITIES.items():
        lines = sum(1 + max(_lines(held, characters) for held in week) for week in weeks)
        if lines <= most_lines:
            return name
    return PACKED


def _lines(held: list[tuple[GroupView, formatting.MeetingView]], characters: int) -> int:
    """Estimate the lines that a day's meetings take."""
    words = [(f"{each.clock} {group.name}: {each.title}", each.place) for group, each in held]
    return sum(ceil(len(part) / characters) for pair in words for part in pair)


def _near(first: date) -> dict[str, date | None]:
    """Return the months before and after, within the limits."""
    before = (first - timedelta(days=1)).replace(day=1)
    after = (first + timedelta(days=31)).replace(day=1)
    return {
        "before": before if before >= recurrence.FIRST else None,
        "after": after if after <= recurrence.LAST else None,
    }


def _zone() -> ZoneInfo:
    return services().settings.timezone
