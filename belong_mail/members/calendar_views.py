"""A member's own calendar: their group's meetings with what only members may know."""

from datetime import date

from flask import Blueprint, Response, abort, render_template
from flask_babel import get_locale
from flask_babel import gettext as _

from belong_mail.core.tokens import BadToken, Purpose
from belong_mail.meetings import ical, recurrence
from belong_mail.meetings import service as meetings
from belong_mail.members import own_calendar as members_own_calendar
from belong_mail.web.access import public
from belong_mail.web.context import read_transaction, services

own_calendar = Blueprint("own_calendar", __name__)


@own_calendar.errorhandler(BadToken)
def over(_error: BadToken) -> tuple[str, int]:
    """Show one page for links that are damaged, unknown, or of somebody who has left."""
    return render_template("self_service/calendar_over.html", is_private=True), 404


@own_calendar.get("/my-calendar/<token>")
@public
def feed(token: str) -> Response:
    """Give all meetings of one membership's group, under a name that tells no group."""
    signed = services().tokens.read(Purpose.MEMBER_CALENDAR, token)
    with read_transaction() as session:
        group = members_own_calendar.member_of(session, signed).group
        found = meetings.listed(session, group)
        zone, language = services().settings.timezone, str(get_locale())
        name = _("%(program_name)s meetings")
        content = ical.calendar_of_meetings(found, zone, language, name, is_member=True)
    return _file(content, "meetings.ics")


@own_calendar.get("/my-calendar/<token>/<meeting_id>/<day>.ics")
@public
def event(token: str, meeting_id: str, day: str) -> Response:
    """Give one day of a meeting of the membership's group; any other group's is not there."""
    signed = services().tokens.read(Purpose.MEMBER_CALENDAR, token)
    with read_transaction() as session:
        member = members_own_calendar.member_of(session, signed)
        meeting = meetings.find(session, meeting_id)
        if meeting is None or meeting.group_id != member.group_id:
            abort(404)
        zone, language = services().settings.timezone, str(get_locale())
        occurrence = recurrence.find_occurrence(meeting, zone, _day(day)) or abort(404)
        content = ical.calendar_of_day(occurrence, zone, language, is_member=True)
    return _file(content, "meeting.ics")


def _file(content: bytes, name: str) -> Response:
    """Answer with a calendar that no cache keeps: after leaving it must be gone."""
    answer = Response(content, content_type="text/calendar; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        abort(404)
