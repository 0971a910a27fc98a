"""Join with a personal address: a code to the staff address first, then the form.

The two are typed on two pages, so that no form has both.
"""

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _

from belong_mail.accounts import service as accounts
from belong_mail.core.db import new_public_id, now
from belong_mail.core.tokens import Purpose, TokenExpired
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group
from belong_mail.groups.presenters import group_view
from belong_mail.members import service as members
from belong_mail.members import staff_codes
from belong_mail.members.forms import CodeForm, PersonalJoinForm, personal_form_for
from belong_mail.members.staff_codes import CodeRequest
from belong_mail.web.access import no_cookie, public
from belong_mail.web.context import asking_source, read_transaction, services, throttle, transaction

personal_address = Blueprint("personal_address", __name__)
# Of the email with the code.
SUBJECT = gettext_noop("Your code from %(program_name)s")


@personal_address.errorhandler(TokenExpired)
def too_late(error: TokenExpired) -> ResponseReturnValue:
    """Lead whoever had the page open for hours to a new code: the old one works no more.

    What they typed is shown again: no link could carry it.
    """
    with read_transaction() as session:
        public_id, nonce = staff_codes.split_page(error.public_id)
        group = groups.by_public_id(session, public_id)
        if group is None:
            return redirect(url_for("directory.index"), 303)
        if request.method != "POST" or not _is_allowing(group):
            return redirect(url_for(".ask_code", slug=group.slug, late="1"), 303)
        has_leads = bool(accounts.leads_of(session, group))
        return _kept(group, personal_form_for(group, nonce, has_leads=has_leads), "late")


@personal_address.route("/groups/<slug>/join/personal", methods=["GET", "POST"])
@public
@no_cookie
def ask_code(slug: str) -> ResponseReturnValue:
    """Ask for the staff address; whatever it is, the same page follows."""
    form = CodeForm()
    with read_transaction() as session:
        group = _joinable(groups.find_even_retired(session, slug))
        if not _is_allowing(group):
            return _page("no_personal", group), 404
        if not form.is_sent():
            page = _page("ask_code", group, form=form, is_late="late" in request.args)
            return page, 422 if form.errors else 200
    nonce, language = new_public_id(), str(get_locale())
    wanted = CodeRequest(form.address, language, group.public_id, nonce, asking_source())
    with transaction() as session:
        staff_codes.ask_for_code(session, services().sealer, wanted, throttle(session))
    name = staff_codes.page_name(group, nonce)
    token = services().tokens.sign(Purpose.STAFF_CODE, name, now())
    return redirect(url_for(".join", token=token), 303)


@personal_address.route("/join-with-code/<token>", methods=["GET", "POST"])
@public
@no_cookie
def join(token: str) -> ResponseReturnValue:
    name = services().tokens.read(Purpose.STAFF_CODE, token)
    public_id, nonce = staff_codes.split_page(name)
    with read_transaction() as session:
        group = _joinable(groups.by_public_id(session, public_id))
        form = personal_form_for(group, nonce, has_leads=bool(accounts.leads_of(session, group)))
        if not _is_allowing(group):
            is_typed = request.method == "POST"
            return _kept(group, form, "off") if is_typed else (_page("no_personal", group), 404)
        if not form.is_sent():
            return _form_page(group, form), 422 if form.errors else 200
    wanted = form.wanted()
    with transaction() as session:
        due_at = throttle(session)
        kind = staff_codes.JOIN
        members.ask_to_join(session, services().sealer, group, wanted, due_at, kind)
    name = f"{group.public_id}{due_at.timestamp():.0f}"
    asked = services().tokens.sign(Purpose.CHECK_INBOX, name, now())
    return redirect(url_for("subscriptions.check_your_inbox", asked=asked), 303)


def _page(template: str, group: Group, **context: object) -> str:
    shown = group_view(group, str(get_locale()))
    return render_template(f"subscriptions/{template}.html", group=shown, **context)


def _form_page(group: Group, form: PersonalJoinForm, problem: str = "") -> str:
    again_at = staff_codes.end_of_day(now())
    context = {"form": form, "problem": problem, "mail_subject": _(SUBJECT), "again_at": again_at}
    return _page("join_with_code", group, **context)


def _kept(group: Group, form: PersonalJoinForm, problem: str) -> ResponseReturnValue:
    """Show what was typed into a form that can lead to nothing any more, and say why."""
    return _form_page(group, form, problem), 422


def _joinable(group: Group | None) -> Group:
    """Return a group that people can join, or answer as if the page were not there."""
    if group is None or not group.is_open:
        abort(404)
    groups.require_not_ending(group)
    return group


def _is_allowing(group: Group) -> bool:
    """Tell whether a group takes personal addresses: the office may have ended that meanwhile."""
    return group.is_open and group.allows_personal_addresses
