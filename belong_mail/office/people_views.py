"""The office's pages about people: who leads, inviting, renewing, removing."""

from collections.abc import Callable
from functools import partial

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from belong_mail.accounts import people as verbs
from belong_mail.accounts.models import Account
from belong_mail.accounts.session import signed_in
from belong_mail.office.people_forms import InviteForm, NameForm
from belong_mail.web.access import for_office, fresh_proof
from belong_mail.web.context import services, transaction

people = Blueprint("people", __name__, url_prefix="/office/leads")


@people.route("", methods=["GET", "POST"])
@for_office
@fresh_proof
def listed() -> ResponseReturnValue:
    """List who leads and whose rights end soon; on POST renew those, but for who was left out."""
    with transaction() as session:
        if request.method == "POST":
            verbs.renew(session, signed_in(), request.form.getlist("right"))
            return redirect(url_for(".listed", done="renewed"), 303)
        teams = verbs.list_teams(session, signed_in())
        ending = verbs.ending(session, signed_in())
    return render_template("office/people.html", teams=teams, ending=ending)


@people.route("/invite", methods=["GET", "POST"])
@for_office
@fresh_proof
def invite() -> ResponseReturnValue:
    with transaction() as session:
        groups = [each.group for each in verbs.list_teams(session, signed_in()) if each.group]
        form = InviteForm.about(groups, request.args.get("group", ""))
        if form.validate_on_submit():
            verbs.invite(session, services().sealer, signed_in(), form.wanted())
            return redirect(url_for(".listed", done="invited"), 303)
    page = render_template("office/invite.html", form=form)
    return page, 422 if form.errors else 200


@people.route("/<account_id>", methods=["GET", "POST"])
@for_office
def person(account_id: str) -> ResponseReturnValue:
    """Show somebody's roles; a form changes how the office calls them."""
    with transaction() as session:
        found = verbs.find_person(session, signed_in(), account_id)
        form = NameForm(obj=found)
        if form.validate_on_submit():
            verbs.rename(session, found, form.name.data or "")
            return redirect(url_for(".person", account_id=account_id, saved=1), 303)
        page = _page("person", session, found, form=form)
    return page, 422 if form.errors else 200


@people.get("/<account_id>/remove")
@for_office
def ask_to_remove(account_id: str) -> str:
    with transaction() as session:
        found = verbs.find_person(session, signed_in(), account_id)
        return _page("remove", session, found)


@people.post("/<account_id>/<verb>")
@for_office
@fresh_proof
def do(account_id: str, verb: str) -> ResponseReturnValue:
    """Do what a button says, at once."""
    try:
        with transaction() as session:
            found = verbs.find_person(session, signed_in(), account_id)
            _do(session, found, verb, request.form.get("role", ""))
            is_left = bool(verbs.roles_of(session, found))
    except verbs.LastOfficeAccount:
        return redirect(url_for(".person", account_id=account_id, done="last"), 303)
    if not is_left:
        return redirect(url_for(".listed", done=verb), 303)
    return redirect(url_for(".person", account_id=account_id, done=verb), 303)


def _do(session: Session, found: Account, verb: str, role: str) -> None:
    """Do it; “remove” is for one role: a group by its slug, or “office”."""
    by, sealer, slug = signed_in(), services().sealer, None if role == "office" else role
    verbs_by_name: dict[str, Callable[[], None]] = {
        "again": partial(verbs.invite_again, session, sealer, by, found),
        "withdraw": partial(verbs.withdraw, session, found),
        "remove": partial(verbs.remove, session, sealer, by, found, slug),
        "let_in": partial(verbs.let_in, session, sealer, by, found),
        "sign_out": partial(verbs.end_sessions, session, found),
    }
    if verb not in verbs_by_name:
        abort(404)
    if verb == "remove" and not role:
        abort(400)
    verbs_by_name[verb]()


def _page(name: str, session: Session, found: Account, **context: object) -> str:
    """Show a page about somebody."""
    return render_template(
        f"office/{name}.html",
        person=found,
        roles=verbs.roles_of(session, found),
        needs_more_than_email=verbs.needs_more_than_email(session, found),
        is_self=found.id == signed_in().id,
        **context,
    )
