"""Asking to be told when a group starts, and taking that back. The mailed link acts on POST."""

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from belong_mail.current import parts, transaction, when_admitted
from belong_mail.groups import service as groups
from belong_mail.groups.cards import card
from belong_mail.interests import service
from belong_mail.interests.forms import TellMeForm
from belong_mail.subscriptions import service as subscriptions
from belong_mail.tokens import Purpose

interests = Blueprint("interests", __name__)


@interests.route("/groups/<slug>/tell-me", methods=["GET", "POST"])
def ask(slug: str) -> ResponseReturnValue:
    """Write the wish down, sealed; also from a page that was open when the group started."""
    form = TellMeForm()
    with transaction() as session:
        group = groups.find(session, slug) or abort(404)
        if group.is_open and request.method != "POST":
            return redirect(url_for("subscriptions.join", slug=slug))
        if form.is_sent():
            due_at = when_admitted(session)
            wanted = form.wanted()
            subscriptions.ask(session, parts().sealer, group, wanted, due_at, service.KIND)
            return redirect(url_for(".noted"), 303)
        shown = card(group, str(get_locale()))
    last_day = service.noon(service.last_day())
    page = render_template("interests/ask.html", group=shown, form=form, last_day=last_day)
    return page, 422 if form.errors else 200


@interests.get("/noted")
def noted() -> str:
    return render_template("interests/noted.html", last_day=service.noon(service.last_day()))


@interests.route("/forget-note/<token>", methods=["GET", "POST"])
def forget(token: str) -> str:
    public_id = parts().tokens.read(Purpose.FORGET_NOTE, token)
    with transaction() as session:
        if request.method == "POST":
            service.forget(session, public_id)
            return render_template("interests/forgotten.html", is_private=True)
        shown = card(service.look_at(session, public_id).group, str(get_locale()))
    return render_template(
        "interests/forget.html", group=shown, action=request.path, is_private=True
    )
