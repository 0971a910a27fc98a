"""The leads' pages about meetings."""

from datetime import date
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.accounts.session import signed_in
from belong_mail.core.i18n import at_start, format_day
from belong_mail.groups.models import Group
from belong_mail.groups.presenters import group_view
from belong_mail.meetings import formatting, recurrence
from belong_mail.meetings import service as meetings
from belong_mail.meetings.forms import DayForm, MeetingForm
from belong_mail.meetings.models import Meeting
from belong_mail.meetings.recurrence import Occurrence
from belong_mail.meetings.service import LISTED_AHEAD
from belong_mail.web.access import for_leads
from belong_mail.web.context import services, today, transaction
from belong_mail.web.language import request_language

lead_meetings = Blueprint("lead_meetings", __name__, url_prefix="/lead")
# Days of each meeting in a lead's list.
NEXT = 8


@lead_meetings.get("/groups/<slug>/meetings")
@for_leads
def listed(slug: str) -> str:
    with transaction() as session:
        group = accounts.group_for_lead(session, signed_in(), slug)
        found = meetings.meetings_for_lead(session, signed_in(), group)
        # Those that are canceled or over come last.
        found.sort(key=lambda each: recurrence.next_held(each, today()) or date.max)
        listed = [_listed(each) for each in found]
        shown = group_view(group, request_language())
    return render_template("lead_meetings/listed.html", group=shown, meetings=listed)


@lead_meetings.route("/groups/<slug>/meetings/new", methods=["GET", "POST"])
@for_leads
def new(slug: str) -> ResponseReturnValue:
    with transaction() as session:
        group = accounts.group_for_lead(session, signed_in(), slug)
        form = MeetingForm()
        is_right = form.validate_on_submit()
        if is_right and not form.preview.data:
            meetings.add(session, group, **form.planned())
            return redirect(url_for(".listed", slug=slug, done="saved"), 303)
        page = _form(group, form, is_right=is_right)
    return page, 422 if form.errors else 200


@lead_meetings.route("/meetings/<meeting_id>", methods=["GET", "POST"])
@for_leads
def change(meeting_id: str) -> ResponseReturnValue:
    """Change every day of a meeting; saving a canceled one restores it."""
    with transaction() as session:
        meeting = meetings.find_for_lead(session, signed_in(), meeting_id)
        form = MeetingForm()
        form.day_before = meeting.starts_on
        is_stale, is_right = form.is_stale(meeting), form.validate_on_submit()
        if is_right and not is_stale and not form.preview.data:
            meetings.change(meeting, **form.planned())
            return _back(meeting, "saved")
        if request.method != "POST":
            form.show(meeting)
        page = _form(meeting.group, form, meeting, is_right=is_right, is_stale=is_stale)
    return page, 409 if is_stale else 422 if form.errors else 200


@lead_meetings.route("/meetings/<meeting_id>/cancel", methods=["GET", "POST"])
@for_leads
def cancel(meeting_id: str) -> ResponseReturnValue:
    """Ask on GET; on POST cancel every day."""
    with transaction() as session:
        meeting = meetings.find_for_lead(session, signed_in(), meeting_id)
        if request.method == "POST":
            meetings.cancel(meeting)
            return _back(meeting, "cancelled")
        return render_template("lead_meetings/cancel.html", meeting=meeting, **_named(meeting))


@lead_meetings.route("/meetings/<meeting_id>/<day>", methods=["GET", "POST"])
@for_leads
def change_day(meeting_id: str, day: str) -> ResponseReturnValue:
    """Move one day's meeting to another time or place."""
    with transaction() as session:
        meeting, occurrence = _occurrence(session, meeting_id, day)
        starts_at, ends_at = occurrence.starts.time(), occurrence.ends.time()
        form = DayForm(obj=occurrence, starts_at=starts_at, ends_at=ends_at)
        form.day_before = occurrence.starts.date()
        is_stale = form.is_stale(meeting)
        if form.validate_on_submit() and not is_stale:
            meetings.change_day(meeting, occurrence.day, **form.planned())
            return _back(meeting, "day-saved")
        shown = {
            "each": formatting.meeting_view(occurrence, request_language(), is_member=True),
            "meeting": meeting if is_stale else None,
            **_named(meeting),
        }
        page = render_template("lead_meetings/day.html", form=form, **shown)
    return page, 409 if is_stale else 422 if form.errors else 200


@lead_meetings.post("/meetings/<meeting_id>/<day>/cancel")
@for_leads
def cancel_day(meeting_id: str, day: str) -> ResponseReturnValue:
    with transaction() as session:
        meeting, occurrence = _occurrence(session, meeting_id, day)
        meetings.cancel_day(meeting, occurrence.day)
        return _back(meeting, "day-cancelled")


@lead_meetings.post("/meetings/<meeting_id>/<day>/restore")
@for_leads
def restore_day(meeting_id: str, day: str) -> ResponseReturnValue:
    """Restore one day's meeting to the rule."""
    with transaction() as session:
        meeting, occurrence = _occurrence(session, meeting_id, day)
        meetings.restore_day(meeting, occurrence.day)
        return _back(meeting, "day-saved")


def _occurrence(session: Session, meeting_id: str, day: str) -> tuple[Meeting, Occurrence]:
    """Find a day of a meeting that this lead may change; 404 for other days."""
    meeting = meetings.find_for_lead(session, signed_in(), meeting_id)
    try:
        found = recurrence.find_occurrence(meeting, _zone(), date.fromisoformat(day))
    except ValueError:
        found = None
    return meeting, found or abort(404)


def _back(meeting: Meeting, done: str) -> ResponseReturnValue:
    return redirect(url_for(".listed", slug=meeting.group.slug, done=done), 303)


def _listed(meeting: Meeting) -> dict[str, object]:
    """Return a meeting with its next days, for its lead."""
    first = today()
    found = recurrence.occurrences(meeting, _zone(), first, first + 2 * LISTED_AHEAD)[:NEXT]
    days = [formatting.meeting_view(each, request_language(), is_member=True) for each in found]
    is_series = meeting.repeats != "once"
    return {**_named(meeting), "meeting": meeting, "days": days, "is_series": is_series}


def _named(meeting: Meeting) -> dict[str, object]:
    language = request_language()
    return {
        "group": group_view(meeting.group, language),
        "title": formatting.title(meeting, language),
        "rule": formatting.rule_text(meeting, language),
    }


def _form(
    group: Group,
    form: MeetingForm,
    meeting: Meeting | None = None,
    *,
    is_right: bool,
    is_stale: bool = False,
) -> str:
    """Show the form, with a preview in words if it is valid, and with what is stored now."""
    language = request_language()
    return render_template(
        "lead_meetings/form.html",
        group=group_view(group, language),
        form=form,
        meeting=meeting,
        preview=_in_words(Meeting(**form.planned()), language) if is_right else None,
        stored=_in_words(meeting, language) if meeting and is_stale else None,
    )


def _in_words(meeting: Meeting, language: str) -> dict[str, object]:
    """Describe a meeting that is not stored yet."""
    first = recurrence.next_days(meeting, recurrence.FIRST, 5)
    return {
        "rule": formatting.rule_text(meeting, language),
        "title": formatting.title(meeting, language),
        "days": [at_start(format_day(each, language)) for each in first],
        "details": formatting.details(meeting, language),
    }


def _zone() -> ZoneInfo:
    return services().settings.timezone
