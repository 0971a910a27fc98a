"""Leaders' pages about meetings."""

from datetime import date

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.groups.models import Group
from belong_mail.groups.pages import group_page
from belong_mail.meetings import formatting, recurrence
from belong_mail.meetings import service as meetings
from belong_mail.meetings.forms import DayForm, MeetingForm
from belong_mail.meetings.models import Meeting
from belong_mail.meetings.service import LISTED_AHEAD
from belong_mail.meetings.views import occurrence_on
from belong_mail.web.access import for_leads
from belong_mail.web.context import services, today
from belong_mail.web.language import request_language
from belong_mail.web.page import Page

lead_meetings = Blueprint("lead_meetings", __name__, url_prefix="/lead")
# Days listed of each meeting.
NEXT = 8


@lead_meetings.get("/groups/<slug>/meetings")
@for_leads(slug=accounts.group_for_lead)
def listed(session: Session, group: Group) -> Page:
    found = meetings.of_group(session, group)
    # Put canceled and past meetings last.
    found.sort(key=lambda each: recurrence.next_held(each, today()) or date.max)
    listed = [_listed(each) for each in found]
    return group_page("lead_meetings/listed.html", group, meetings=listed)


@lead_meetings.route("/groups/<slug>/meetings/new", methods=["GET", "POST"])
@for_leads(slug=accounts.group_for_lead)
def new(session: Session, group: Group) -> ResponseReturnValue:
    form = MeetingForm()
    if form.validate_on_submit():
        meetings.add(session, group, **form.planned())
        return redirect(url_for(".listed", slug=group.slug, done="saved"), 303)
    return _form(group, form)


@lead_meetings.route("/meetings/<meeting_id>", methods=["GET", "POST"])
@for_leads(meeting_id=meetings.find_for_lead)
def change(_session: Session, meeting: Meeting) -> ResponseReturnValue:
    """Change the whole meeting; saving restores one that was canceled."""
    form = MeetingForm()
    form.day_before = meeting.starts_on
    is_stale = form.is_stale(str(meeting.sequence))
    if form.validate_on_submit() and not is_stale:
        meetings.change(meeting, **form.planned())
        return _back(meeting, "saved")
    if request.method != "POST":
        form.show(meeting)
    return _form(meeting.group, form, meeting, is_stale=is_stale)


@lead_meetings.post("/meetings/<meeting_id>/cancel")
@for_leads(meeting_id=meetings.find_for_lead)
def cancel(_session: Session, meeting: Meeting) -> ResponseReturnValue:
    meetings.cancel(meeting)
    return _back(meeting, "cancelled")


@lead_meetings.route("/meetings/<meeting_id>/<day>", methods=["GET", "POST"])
@for_leads(meeting_id=meetings.find_for_lead)
def change_day(_session: Session, meeting: Meeting, day: str) -> ResponseReturnValue:
    """Move one day of a meeting to another date, time or place."""
    occurrence = occurrence_on(meeting, day)
    starts_at, ends_at = occurrence.starts.time(), occurrence.ends.time()
    form = DayForm(obj=occurrence, starts_at=starts_at, ends_at=ends_at)
    form.day_before = occurrence.starts.date()
    is_stale = form.is_stale(str(meeting.sequence))
    if form.validate_on_submit() and not is_stale:
        meetings.change_day(meeting, occurrence.day, **form.planned())
        return _back(meeting, "day-saved", day)
    each = formatting.meeting_view(occurrence, request_language(), is_member=True)
    shown = {"form": form, "each": each, "meeting": meeting if is_stale else None}
    status = 409 if is_stale else 0
    return group_page("lead_meetings/day.html", meeting.group, status, **shown, **_named(meeting))


@lead_meetings.post("/meetings/<meeting_id>/<day>/cancel")
@for_leads(meeting_id=meetings.find_for_lead)
def cancel_day(_session: Session, meeting: Meeting, day: str) -> ResponseReturnValue:
    meetings.cancel_day(meeting, occurrence_on(meeting, day).day)
    return _back(meeting, "day-cancelled", day)


@lead_meetings.post("/meetings/<meeting_id>/<day>/restore")
@for_leads(meeting_id=meetings.find_for_lead)
def restore_day(_session: Session, meeting: Meeting, day: str) -> ResponseReturnValue:
    meetings.restore_day(meeting, occurrence_on(meeting, day).day)
    return _back(meeting, "day-saved", day)


def _back(meeting: Meeting, done: str, day: str | None = None) -> ResponseReturnValue:
    """Redirect to the list, which shows what was done and the day's state."""
    slug, of = meeting.group.slug, meeting.public_id
    return redirect(url_for(".listed", slug=slug, done=done, meeting=of, day=day), 303)


def _listed(meeting: Meeting) -> dict[str, object]:
    """Return a meeting with its next days, for the list."""
    zone, first = services().settings.timezone, today()
    found = recurrence.occurrences(meeting, zone, first, first + 2 * LISTED_AHEAD)[:NEXT]
    days = [formatting.meeting_view(each, request_language(), is_member=True) for each in found]
    is_series = meeting.repeats != "once"
    return {**_named(meeting), "meeting": meeting, "days": days, "is_series": is_series}


def _named(meeting: Meeting) -> dict[str, object]:
    title = formatting.title(meeting, request_language())
    return {"title": title, "rule": formatting.rule_text(meeting, request_language())}


def _form(
    group: Group, form: MeetingForm, meeting: Meeting | None = None, *, is_stale: bool = False
) -> Page:
    """Show the form, with the stored version if it is stale."""
    stored = None
    if meeting and is_stale:
        stored = _named(meeting) | {"details": formatting.details(meeting, request_language())}
    return group_page(
        "lead_meetings/form.html",
        group,
        409 if is_stale else 0,
        form=form,
        meeting=meeting,
        stored=stored,
    )
