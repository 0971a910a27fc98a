"""The page “My groups”: a card for each group, and the result of the last press."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import request
from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.core.tokens import Purpose
from belong_mail.groups.presenters import group_view
from belong_mail.meetings import formatting
from belong_mail.meetings import service as meetings
from belong_mail.members import self_service as members_self_service
from belong_mail.members import service as members
from belong_mail.members.forms import PressForm
from belong_mail.members.models import Subscription
from belong_mail.members.self_service import ALL, OpenedSession
from belong_mail.web.context import services
from belong_mail.web.language import request_language

UNTIL = ":until"
# Meetings that stand on each card.
NEXT = 3
# A result is shown only while it is true: the page may be opened again later.
IS_SO: Mapping[str, Callable[[Subscription], bool]] = {
    "leave": lambda one: not one.is_active,
    "undo": lambda one: one.is_active,
    "pause": lambda one: one.is_active and one.pause is not None,
    "resume": lambda one: one.is_active and one.pause is None,
    "language": lambda one: one.is_active,
    "remind": lambda one: one.is_active,
}


def named_memberships() -> list[str]:
    """List the memberships that a form names; with Enter, the only one with a day."""
    if "membership" in request.form:
        return request.form.getlist("membership")
    typed = [name for name, day in request.form.items() if name.endswith(UNTIL) and day]
    return [typed[0].removesuffix(UNTIL)] if len(typed) == 1 else []


def pause_form(which: str) -> PressForm:
    """Make one membership's part of the form that has all days, so that each stays as typed."""
    return PressForm("pause", prefix=f"{which}:")


def page_context(session: Session, listed: OpenedSession) -> dict[str, Any]:
    """Return the page's words, and why a pause is impossible."""
    found = members_self_service.list_memberships(session, listed)
    forms = {which: pause_form(which) for which in (ALL, *listed.public_ids)}
    done, of, is_wrong = request.args.get("done", ""), request.args.getlist("of"), False
    if request.method == "POST" and not forms[ALL].is_turned:
        of = named_memberships()[:1]
        done = "" if of else "which"
        is_wrong = bool(of) and not forms[of[0]].is_sent()
    held = [_card(session, each, forms[each.public_id]) for each in found]
    told = [one for one in held if one["public_id"] in of]
    for one in told or [one for one in held if one["is_active"]][:1]:
        one["is_open"] = True
    is_so = IS_SO.get(done)
    return {
        "until": listed.until,
        "is_personal": listed.is_personal,
        "held": held,
        "all_form": forms[ALL],
        "is_wrong": is_wrong,
        "done": done,
        "told_of": [one.public_id for one in found if one.public_id in of and is_so and is_so(one)],
    }


def _card(session: Session, subscription: Subscription, form: PressForm) -> dict[str, Any]:
    zone, language = services().settings.timezone, request_language()
    coming = meetings.upcoming(session, zone, now(), NEXT, subscription.group)
    ended_at = subscription.ended_at
    return {
        "public_id": subscription.public_id,
        "card": group_view(subscription.group, language),
        "since": subscription.confirmed_at,
        "is_active": subscription.is_active,
        "is_open": False,
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
