"""What “My groups” shows: a card for each group, and what the last press has changed."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from flask import request
from flask_babel import get_locale
from sqlalchemy.orm import Session

from belong_mail.core import i18n
from belong_mail.core.db import now
from belong_mail.core.tokens import Purpose
from belong_mail.groups.presenters import group_view
from belong_mail.meetings import formatting
from belong_mail.meetings import service as meetings
from belong_mail.members import self_service as members_self_service
from belong_mail.members import service as members
from belong_mail.members.models import Subscription
from belong_mail.members.self_service import MemberState, OpenedSession
from belong_mail.web.context import services
from belong_mail.web.forms import PauseForm

# Stands where a form names one membership.
ALL = "all"
UNTIL = ":until"
# Characters of a day that somebody typed; more are no day.
LONGEST_DAY = 40
# Meetings that stand on each card.
NEXT = 3
# What a press says of itself is said only where it is so: the page may be opened again later.
IS_SO: Mapping[str, Callable[[Subscription], bool]] = {
    "leave": lambda one: not one.is_active,
    "undo": lambda one: one.is_active,
    "pause": lambda one: one.is_active and one.pause is not None,
    "resume": lambda one: one.is_active and one.pause is None,
    "language": lambda one: one.is_active and one.language != request.args.get("was"),
    "remind": lambda one: one.is_active and one.is_reminded,
    "no-remind": lambda one: one.is_active and not one.is_reminded,
}


def pause_form(which: str) -> PauseForm:
    """Make one membership's part of the form: of what was sent, or of what it was led back with.

    The parts are one form, so that the language button keeps every day that was typed.
    """
    typed = request.form if request.method == "POST" else request.args
    return PauseForm(formdata=typed, prefix=f"{which}:")


def to_pause() -> str:
    """Name the membership whose button was pressed; with Enter, the only one with a day."""
    if "membership" in request.form:
        return request.form["membership"]
    typed = [name for name, day in request.form.items() if name.endswith(UNTIL) and day]
    if len(typed) != 1:
        return ""
    return typed[0].removesuffix(UNTIL)


def meant_by(session: Session, secret: str, which: str) -> list[str]:
    """List the memberships that a pause is for, or raise BadToken; all are those not paused yet."""
    listed = members_self_service.open_session(session, secret)
    if not which:
        return []
    if which != ALL:
        return members_self_service.choose(session, secret, [which])
    held = members_self_service.list_memberships(session, listed)
    return [each.public_id for each in held if each.is_active and each.pause is None]


def typed_days(session: Session, secret: str) -> dict[str, str]:
    """Return every day that was typed, to be shown again."""
    listed = members_self_service.open_session(session, secret)
    names = [f"{which}{UNTIL}" for which in (ALL, *listed.public_ids)]
    return {name: request.form[name][:LONGEST_DAY] for name in names if request.form.get(name)}


def before(done: str, changed: Mapping[str, MemberState]) -> str:
    """Return what undoing a press needs to know of the time before it; empty for most."""
    if len(changed) != 1:
        return ""
    [state] = changed.values()
    if done == "language":
        return state.language
    if done == "resume" and state.pause is not None:
        return str(state.pause.astimezone(services().settings.timezone).date())
    return ""


def page_context(session: Session, listed: OpenedSession) -> dict[str, Any]:
    """Return what the page says; a form with an error stands at the card it was sent from."""
    found = members_self_service.list_memberships(session, listed)
    done, of = request.args.get("done", ""), request.args.getlist("of")
    is_so = IS_SO.get(done)
    told = {each.public_id for each in found if each.public_id in of and is_so and is_so(each)}
    forms = {which: _form(which) for which in (ALL, *(each.public_id for each in found))}
    held = [_card(session, each, forms[each.public_id]) for each in found]
    opened = [one for one in held if one["public_id"] in of or one["form"].errors]
    for one in opened or [one for one in held if one["is_active"]][:1]:
        one["is_open"] = True
    return {
        "until": listed.until,
        "is_personal": listed.is_personal,
        "held": held,
        "all_form": forms[ALL],
        "is_wrong": any(form.errors for form in forms.values()),
        "done": done,
        "told_of": told,
        "was": request.args.get("was", ""),
    }


def _form(which: str) -> PauseForm:
    form = pause_form(which)
    if request.method != "POST" and request.args.get("wrong") == which:
        form.validate()
    return form


def _card(session: Session, subscription: Subscription, form: PauseForm) -> dict[str, Any]:
    zone, language = services().settings.timezone, str(get_locale())
    coming = meetings.upcoming(session, zone, now(), NEXT, subscription.group)
    ended_at, was = subscription.ended_at, request.args.get("was", "")
    return {
        "public_id": subscription.public_id,
        "card": group_view(subscription.group, language),
        "since": subscription.confirmed_at,
        "is_active": subscription.is_active,
        "is_open": False,
        "undo_until": ended_at + members.UNDO_WINDOW if ended_at else None,
        "paused_until": subscription.pause,
        "language": subscription.language,
        "language_before": was if was in i18n.NAMES and was != subscription.language else "",
        "is_reminded": subscription.is_reminded,
        "day_before": _day_before(form),
        "meetings": [formatting.meeting_view(each, language, is_member=True) for each in coming],
        "calendar": services().tokens.sign(
            Purpose.MEMBER_CALENDAR, members_self_service.calendar_name(subscription), now()
        ),
        "form": form,
    }


def _day_before(form: PauseForm) -> str:
    """Return the day until which newsletters were paused before, if they can be again."""
    try:
        day = date.fromisoformat(request.args.get("was", ""))
    except ValueError:
        return ""
    return str(day) if form.first <= day <= form.last else ""
