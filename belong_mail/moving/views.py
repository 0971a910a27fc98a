"""Changing the address: typed behind the link to one's groups, confirmed at the new one."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from belong_mail.current import parts, transaction
from belong_mail.memberships import service as memberships
from belong_mail.moving import service
from belong_mail.moving.forms import MoveForm
from belong_mail.tokens import BadToken, Purpose

moving = Blueprint("moving", __name__)


@moving.errorhandler(BadToken)
def over(_error: BadToken) -> tuple[str, int]:
    return render_template("memberships/over.html", is_private=True), 404


@moving.route("/my-groups/<secret>/change-address", methods=["GET", "POST"])
def ask(secret: str) -> ResponseReturnValue:
    form = MoveForm()
    with transaction() as session:
        memberships.open_sheet(session, secret)
        if form.validate_on_submit():
            wanted = {"new": form.email.data, "language": str(get_locale())}
            memberships.ask_worker(session, parts().sealer, "change-address", secret, **wanted)
            return redirect(url_for("memberships.sheet", secret=secret, done="address"), 303)
    page = render_template("moving/ask.html", form=form, secret=secret, is_private=True)
    return page, 422 if form.errors else 200


@moving.route("/change-address/<token>", methods=["GET", "POST"])
def confirm(token: str) -> str:
    public_id = parts().tokens.read(Purpose.CHANGE_ADDRESS, token)
    with transaction() as session:
        if request.method == "POST":
            service.confirm(session, parts().sealer, public_id)
            return render_template("moving/confirmed.html", is_private=True)
        service.look_at(session, public_id)
    return render_template("moving/confirm.html", action=request.path, is_private=True)
