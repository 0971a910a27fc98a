"""The self-service pages: “My groups”, change of address, personal calendar."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.core.retention import ERASED_WITHIN
from belong_mail.core.tokens import BadToken, Purpose
from belong_mail.groups.presenters import group_view
from belong_mail.meetings import formatting
from belong_mail.meetings import service as meetings
from belong_mail.meetings.views import calendar_file, calendar_of, day_file, occurrence_on
from belong_mail.members import self_service as members_self_service
from belong_mail.members import service as members
from belong_mail.members.forms import AskForm, MoveForm, PressForm
from belong_mail.members.jobs import ChangeAddress, SendCopy, SendMyGroups
from belong_mail.members.models import Subscription
from belong_mail.members.views import TOO_LATE, subscriptions
from belong_mail.members.views import manage as manage_one
from belong_mail.web.access import no_cookie, public
from belong_mail.web.context import services, throttle
from belong_mail.web.language import gettext as _
from belong_mail.web.language import request_language
from belong_mail.web.page import Page, page

self_service = Blueprint("self_service", __name__)
address_change = Blueprint("address_change", __name__)
own_calendar = Blueprint("own_calendar", __name__)
# An hour in which the worker may be busy.
SAID_ERASED_WITHIN = ERASED_WITHIN + timedelta(hours=1)
# By verb: whether a result still holds, so that a reloaded page does not show an outdated one.
IS_SO: Mapping[str, Callable[[Subscription], bool]] = {
    "leave": lambda one: not one.is_active,
    "undo": lambda one: one.is_active,
    "pause": lambda one: one.is_active and one.pause is not None,
    "resume": lambda one: one.is_active and one.pause is None,
    "language": lambda one: one.is_active,
    "remind": lambda one: one.is_active,
}


@self_service.errorhandler(BadToken)
@address_change.errorhandler(BadToken)
@own_calendar.errorhandler(BadToken)
def over(_error: BadToken) -> Page:
    """Show the same page with the way to a new link, whatever is wrong with the old one."""
    return page("self_service/over.html", 404)


@self_service.route("/my-groups", methods=["GET", "POST"])
@public
@no_cookie
def ask(session: Session) -> ResponseReturnValue:
    form = AskForm()
    if form.is_sent():
        asked = SendMyGroups(form.email.data or "", request_language())
        asked.ask(session, services().sealer, due_at=throttle(session))
        return redirect(url_for(".sent"), 303)
    return page("self_service/ask.html", form=form)


@self_service.get("/my-groups/sent")
@public
def sent() -> Page:
    return page("self_service/sent.html")


@self_service.route("/email-me-again/<token>", methods=["GET", "POST"])
@public
@no_cookie
def email_again(session: Session, token: str) -> ResponseReturnValue:
    """Ask on GET, unless it is done; on POST queue the job that lifts the suppression."""
    permission = services().tokens.read(Purpose.EMAIL_AGAIN, token)
    if request.method == "POST":
        members_self_service.ask_to_lift(session, services().sealer, permission)
        return redirect(url_for(".email_again", token=token, pressed=1), 303)
    if members_self_service.is_lift_asked(session, permission):
        return _done_page("email-again")
    return page("confirm.html", what="email-again", action=request.path)


@self_service.get("/my-groups/<secret>")
@public
def manage(session: Session, secret: str, form: PressForm | None = None) -> Page:
    """Show the list; `form` has a day that was refused for one membership."""
    listed = members_self_service.open_session(session, secret)
    found = members_self_service.list_memberships(session, listed)
    of = request.form.get("membership") or request.args.get("of")
    empty, is_so = PressForm("pause", formdata=None), IS_SO.get(request.args.get("done", ""))
    told = next((one for one in found if one.public_id == of), None)
    first = next((one for one in found if one.is_active), None)
    return page(
        "self_service/manage.html",
        form=form,
        held=[_card(session, each, (each is told and form) or empty) for each in found],
        opened=told or first,
        told_of=told if told and is_so and is_so(told) else None,
        secret=secret,
        link={"secret": secret},
        listed=listed,
    )


@subscriptions.post("/leave/<token>", defaults={"press": "leave"})
@subscriptions.post("/leave/<token>/<any(undo, pause, resume, language, remind):press>")
@self_service.post("/my-groups/<secret>/<any(leave, undo, pause, resume, language, remind):press>")
@public
@no_cookie
def act(session: Session, press: str, **link: Any) -> ResponseReturnValue:
    """Apply a button to the membership of a newsletter's link, or to one in a person's list."""
    form, meant = PressForm(press), _meant(session, **link)
    if not form.is_sent():
        show = manage if "secret" in link else manage_one
        return show(session, **link, form=form) if press == "pause" else abort(400)
    one = members.get(session, meant, is_locked=True)
    form.act(session, one)
    done = press if IS_SO[press](one) else TOO_LATE
    of = meant if "secret" in link else None
    return redirect(url_for(".manage", **link, done=done, of=of, _anchor="done"), 303)


def _meant(session: Session, token: str = "", secret: str = "") -> str:
    """Return the membership that a button is about. Raises BadToken if the link has no such one."""
    if token:
        return services().tokens.read(Purpose.LEAVE, token)
    meant = request.form.get("membership", "")
    if meant not in members_self_service.open_session(session, secret).public_ids:
        raise BadToken
    return meant


@self_service.post("/my-groups/<secret>/copy")
@public
@no_cookie
def copy(session: Session, secret: str) -> ResponseReturnValue:
    sealer, language, due_at = services().sealer, request_language(), throttle(session)
    members_self_service.ask_worker(session, sealer, SendCopy, secret, due_at, language=language)
    return redirect(url_for(".manage", secret=secret, done="copy", _anchor="done"), 303)


@self_service.route("/my-groups/<secret>/erase", methods=["GET", "POST"])
@public
@no_cookie
def erase(session: Session, secret: str) -> ResponseReturnValue:
    if request.method == "POST":
        members_self_service.erase(session, services().sealer, secret, request_language())
        by = int((now() + SAID_ERASED_WITHIN).timestamp())
        return redirect(url_for(".erased", by=by), 303)
    until = members_self_service.open_session(session, secret).until
    return page("self_service/erase.html", secret=secret, until=until)


@self_service.get("/my-groups/deleted")
@public
def erased() -> Page:
    """Show by when everything is erased; the time is in the URL."""
    by, latest = request.args.get("by", 0, int), now() + SAID_ERASED_WITHIN
    erased_by = datetime.fromtimestamp(by, UTC) if 0 < by <= latest.timestamp() else None
    return page("done.html", what="erased", erased_by=erased_by)


def _done_page(what: str) -> Page:
    """Show a link's result; on a later visit, that the link was used before."""
    return page("done.html", what=what if "pressed" in request.args else f"{what}-before")


def _card(session: Session, subscription: Subscription, form: PressForm) -> dict[str, Any]:
    zone, language = services().settings.timezone, request_language()
    coming = meetings.upcoming(session, zone, now(), meetings.NEXT, subscription.group)
    ended_at = subscription.ended_at
    return {
        "public_id": subscription.public_id,
        "card": group_view(subscription.group, language),
        "since": subscription.confirmed_at,
        "is_active": subscription.is_active,
        "undo_until": ended_at + members.UNDO_WINDOW if ended_at else None,
        "paused_until": subscription.pause,
        "language": subscription.language,
        "is_reminded": subscription.is_reminded,
        "meetings": [formatting.meeting_view(each, language, is_member=True) for each in coming],
        "calendar": services().tokens.sign(
            Purpose.MEMBER_CALENDAR, members_self_service.calendar_name(subscription), now()
        ),
        "form": form,
    }


@address_change.route("/my-groups/<secret>/change-address", methods=["GET", "POST"])
@public
@no_cookie
def ask_new_address(session: Session, secret: str) -> ResponseReturnValue:
    form = MoveForm()
    is_personal = members_self_service.open_session(session, secret).is_personal
    if not is_personal and form.validate_on_submit():
        wanted = {"new": form.email.data or "", "language": request_language()}
        sealer, due_at = services().sealer, throttle(session)
        members_self_service.ask_worker(session, sealer, ChangeAddress, secret, due_at, **wanted)
        back = url_for("self_service.manage", secret=secret, done="address", _anchor="done")
        return redirect(back, 303)
    status = 422 if is_personal and form.is_submitted() else 0
    shown = {"form": form, "secret": secret, "is_personal": is_personal}
    return page("address_change/ask.html", status, **shown)


@address_change.route("/change-address/<token>", methods=["GET", "POST"])
@public
@no_cookie
def confirm(session: Session, token: str) -> ResponseReturnValue:
    """Ask on GET, unless it is done; on POST queue the move."""
    secret = services().tokens.read(Purpose.CHANGE_ADDRESS, token)
    if request.method == "POST":
        members_self_service.confirm_change(session, services().sealer, secret)
        return redirect(url_for(".confirm", token=token, pressed=1), 303)
    if members_self_service.get_change(session, secret).confirmed_at is not None:
        return _done_page("address")
    return page("confirm.html", what="address", action=request.path)


@own_calendar.get("/my-calendar/<token>")
@public
def feed(session: Session, token: str) -> Response:
    """Return the meetings of a member's group; the file's name does not identify the group."""
    signed = services().tokens.read(Purpose.MEMBER_CALENDAR, token)
    found = meetings.listed(session, members_self_service.calendar_owner(session, signed).group)
    answer = calendar_of(found, _("%(program_name)s meetings"), is_member=True)
    return calendar_file(answer, "meetings.ics")


@own_calendar.get("/my-calendar/<token>/<meeting_id>/<day>.ics")
@public
def event(session: Session, token: str, meeting_id: str, day: str) -> Response:
    """Return one day of a meeting of the member's group; 404 for other groups."""
    signed = services().tokens.read(Purpose.MEMBER_CALENDAR, token)
    member = members_self_service.calendar_owner(session, signed)
    meeting = meetings.find(session, meeting_id)
    if meeting is None or meeting.group_id != member.group_id:
        abort(404)
    return day_file(occurrence_on(meeting, day), is_member=True)
