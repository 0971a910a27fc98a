"""A lead's home page: what waits, what is being sent, how many members."""

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_babel import get_locale
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from belong_mail.accounts import identities, signing_in
from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account
from belong_mail.accounts.session import signed_in
from belong_mail.core import i18n
from belong_mail.core.db import now
from belong_mail.groups.models import Group
from belong_mail.groups.presenters import group_view
from belong_mail.meetings import service as meetings
from belong_mail.members import service as members
from belong_mail.newsletters import approval, archive, release
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.web.access import for_accounts
from belong_mail.web.context import services, transaction

lead = Blueprint("lead", __name__, url_prefix="/lead")


@lead.get("/")
@for_accounts
def home() -> str:
    language = str(get_locale())
    with transaction() as session:
        led = accounts.groups_of(session, signed_in())
        groups = [_shown(session, group, language) for group in led]
        ending = accounts.ending_soon(session, signed_in())
        is_passkey_offered = _offers_passkey(session, signed_in())
    account = signed_in()
    return render_template(
        "lead/home.html",
        groups=groups,
        ending=ending,
        mails_in=account.language,
        is_office=account.is_office,
        is_passkey_offered=is_passkey_offered,
    )


def _offers_passkey(session: Session, account: Account) -> bool:
    """Tell whether who is signed in has no passkey, could use one, and has not said no."""
    if account.passkey_declined_at is not None or signing_in.has_passkey(session, account):
        return False
    return not identities.is_used(session, services().settings, account)


def _shown(session: Session, group: Group, language: str) -> dict[str, object]:
    """Return what the page shows of a group."""
    zone = services().settings.timezone
    return {
        "card": group_view(group, language),
        "issues": [(issue, _state(session, issue)) for issue in newsletters.latest(session, group)],
        "template": archive.template_of(session, group),
        "has_meetings": bool(meetings.next_held(session, zone, now(), 1, group)),
        "members": group.members_shown,
        "warmth": members.interest_level(session, group),
    }


def _state(session: Session, issue: Newsletter) -> str:
    """Say where an issue stands; `asked` when it waits for a second leader's yes."""
    if approval.is_open(session, issue):
        return "asked"
    return release.issue_status(session, issue).state


@lead.post("/language")
@for_accounts
def set_language() -> Response:
    """Write to this lead in another language."""
    code = request.form.get("language", "")
    if code not in i18n.NAMES:
        abort(400)
    with transaction(unrecorded="In which language one is emailed.") as session:
        accounts.set_language(session, signed_in(), code)
    return redirect(url_for(".home", done="language"), 303)
