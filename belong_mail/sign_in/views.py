"""Signing in and out."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from belong_mail.accounts import session as browsers
from belong_mail.current import parts, transaction, when_admitted
from belong_mail.sign_in import service
from belong_mail.sign_in.forms import SignInForm
from belong_mail.tokens import Purpose

sign_in = Blueprint("sign_in", __name__)


@sign_in.route("/sign-in", methods=["GET", "POST"])
def ask() -> ResponseReturnValue:
    form = SignInForm()
    if form.is_sent():
        browser_hash = browsers.browser_hash(browsers.asking_browser())
        with transaction() as session:
            due_at = when_admitted(session)
            address, language = form.email.data or "", str(get_locale())
            service.ask(session, parts().sealer, address, language, browser_hash, due_at)
        return redirect(url_for(".sent"), 303)
    return render_template("sign_in/ask.html", form=form), 422 if form.errors else 200


@sign_in.get("/sign-in/sent")
def sent() -> str:
    return render_template("sign_in/sent.html")


@sign_in.route("/sign-in/<token>", methods=["GET", "POST"])
def confirm(token: str) -> ResponseReturnValue:
    """Ask on GET; on POST sign in, if this is the browser that asked."""
    public_id = parts().tokens.read(Purpose.SIGN_IN, token)
    with transaction() as session:
        link = service.find(session, public_id)
        is_ours = browsers.is_asking(link.browser_hash)
        if request.method == "POST" and is_ours:
            browsers.begin(session, service.use(session, link))
            return redirect(url_for("lead.home"), 303)
    page = render_template(
        "sign_in/confirm.html",
        action=url_for(".confirm", token=token),
        is_ours=is_ours,
        is_private=True,
    )
    return page, 200 if request.method != "POST" else 403


@sign_in.post("/sign-out")
def out() -> Response:
    """Sign out here, or with `everywhere` on every browser."""
    with transaction() as session:
        account = browsers.current(session)
        if account is not None and "everywhere" in request.form:
            browsers.end_all(session, account.id)
        browsers.end(session)
    answer = make_response(redirect(url_for("directory.index"), 303))
    if parts().settings.base_url.startswith("https:"):
        answer.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'
    return answer
