"""The leads' pages about meetings."""

from datetime import date
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.accounts.session import signed_in
from belong_mail.current import parts, transaction
from belong_mail.db import now
from belong_mail.groups.cards import card
from belong_mail.groups.models import Group
from belong_mail.meetings import recurrence, words
from belong_mail.meetings.models import Meeting
from belong_mail.meetings.recurrence import Occurrence
from belong_mail.meetings.service import YEAR
from belong_mail.planning import service
from belong_mail.planning.forms import DayForm, MeetingForm

planning = Blueprint("planning", __name__, url_prefix="/lead")

NEXT = 8
"""Days of each meeting that a lead's list shows."""


@planning.get("/groups/<slug>/meetings")
def listed(slug: str) -> str:
    with transaction() as session:
        group = accounts.led_group(session, signed_in(), slug)
        found = [_listed(each) for each in service.led(session, signed_in(), group)]
        shown = card(group, str(get_locale()))
    return render_template("planning/listed.html", group=shown, meetings=found)


@planning.route("/groups/<slug>/meetings/new", methods=["GET", "POST"])
def new(slug: str) -> ResponseReturnValue:
    with transaction() as session:
        group = accounts.led_group(session, signed_in(), slug)
        form = MeetingForm()
        is_right = form.validate_on_submit()
        if is_right and not form.preview.data:
            service.add(session, group, **form.planned())
            return redirect(url_for(".listed", slug=slug, done="saved"), 303)
        page = _form(group, form, is_right=is_right)
    return page, 422 if form.errors else 200


@planning.route("/meetings/<meeting_id>", methods=["GET", "POST"])
def change(meeting_id: str) -> ResponseReturnValue:
    """Change every day of a meeting; saving one that was cancelled brings it back."""
    with transaction() as session:
        meeting = service.find_led(session, signed_in(), meeting_id)
        form = MeetingForm()
        is_stale, is_right = form.is_stale(meeting), form.validate_on_submit()
        if is_right and not is_stale and not form.preview.data:
            service.change(meeting, **form.planned())
            return _back(meeting, "saved")
        if request.method != "POST":
            form.show(meeting)
        page = _form(meeting.group, form, meeting, is_right=is_right, is_stale=is_stale)
    return page, 409 if is_stale else 422 if form.errors else 200


@planning.route("/meetings/<meeting_id>/cancel", methods=["GET", "POST"])
def cancel(meeting_id: str) -> ResponseReturnValue:
    """Ask on GET; on POST cancel every day."""
    with transaction() as session:
        meeting = service.find_led(session, signed_in(), meeting_id)
        if request.method == "POST":
            service.cancel(meeting)
            return _back(meeting, "cancelled")
        return render_template("planning/cancel.html", meeting=meeting, **_named(meeting))


@planning.route("/meetings/<meeting_id>/<day>", methods=["GET", "POST"])
def change_day(meeting_id: str, day: str) -> ResponseReturnValue:
    """Hold one day's meeting at another time or place."""
    with transaction() as session:
        meeting, occurrence = _occurrence(session, meeting_id, day)
        form = DayForm(**_held(occurrence))
        is_stale = form.is_stale(meeting)
        if form.validate_on_submit() and not is_stale:
            service.change_day(meeting, occurrence.day, form.other())
            return _back(meeting, "day-saved")
        shown = {
            "each": words.shown(occurrence, str(get_locale()), is_member=True),
            "meeting": meeting if is_stale else None,
            **_named(meeting),
        }
        page = render_template("planning/day.html", form=form, **shown)
    return page, 409 if is_stale else 422 if form.errors else 200


@planning.post("/meetings/<meeting_id>/<day>/cancel")
def cancel_day(meeting_id: str, day: str) -> ResponseReturnValue:
    with transaction() as session:
        meeting, occurrence = _occurrence(session, meeting_id, day)
        service.cancel_day(meeting, occurrence.day)
        return _back(meeting, "day-cancelled")


@planning.post("/meetings/<meeting_id>/<day>/restore")
def restore_day(meeting_id: str, day: str) -> ResponseReturnValue:
    """Hold one day's meeting as the rule says, after all."""
    with transaction() as session:
        meeting, occurrence = _occurrence(session, meeting_id, day)
        service.restore_day(meeting, occurrence.day)
        return _back(meeting, "day-saved")


def _occurrence(session: Session, meeting_id: str, day: str) -> tuple[Meeting, Occurrence]:
    """Find a day of a meeting that this lead may touch; what is no day of it is not there."""
    meeting = service.find_led(session, signed_in(), meeting_id)
    try:
        found = recurrence.find(meeting, _zone(), date.fromisoformat(day))
    except ValueError:
        found = None
    return meeting, found or abort(404)


def _held(occurrence: Occurrence) -> dict[str, object]:
    """Return when and where a day's meeting is held, by the fields of its form."""
    return {
        "held_on": occurrence.starts.date(),
        "starts_at": occurrence.starts.time(),
        "ends_at": occurrence.ends.time(),
        "place": occurrence.place,
        "link": occurrence.link,
    }


def _back(meeting: Meeting, done: str) -> ResponseReturnValue:
    return redirect(url_for(".listed", slug=meeting.group.slug, done=done), 303)


def _listed(meeting: Meeting) -> dict[str, object]:
    """Return a meeting with its next days, as a lead sees them."""
    today = now().astimezone(_zone()).date()
    found = recurrence.occurrences(meeting, _zone(), today, today + 2 * YEAR)[:NEXT]
    days = [words.shown(each, str(get_locale()), is_member=True) for each in found]
    return {**_named(meeting), "meeting": meeting, "days": days}


def _named(meeting: Meeting) -> dict[str, object]:
    language = str(get_locale())
    return {
        "group": card(meeting.group, language),
        "title": words.title(meeting, language),
        "rule": words.rule(meeting, language),
    }


def _form(
    group: Group,
    form: MeetingForm,
    meeting: Meeting | None = None,
    *,
    is_right: bool,
    is_stale: bool = False,
) -> str:
    """Show the form; with a preview in words when all of it is right, and what is stored now."""
    language = str(get_locale())
    return render_template(
        "planning/form.html",
        group=card(group, language),
        form=form,
        meeting=meeting,
        preview=_in_words(Meeting(**form.planned()), language) if is_right else None,
        stored=_in_words(meeting, language) if meeting and is_stale else None,
    )


def _in_words(meeting: Meeting, language: str) -> dict[str, object]:
    """Say a meeting that is not stored yet."""
    first = recurrence.next_days(meeting, recurrence.FIRST, 5)
    return {
        "rule": words.rule(meeting, language),
        "title": words.title(meeting, language),
        "days": [words.full_date(each, language) for each in first],
        "details": words.details(meeting, language),
    }


def _zone() -> ZoneInfo:
    return parts().settings.timezone
