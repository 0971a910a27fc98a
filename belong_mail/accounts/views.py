"""The pages to sign in and out."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy.orm import Session

from belong_mail.accounts import proof
from belong_mail.accounts import service as accounts
from belong_mail.accounts import session as browsers
from belong_mail.accounts.forms import PasskeySignInForm, ProofForm, SignInForm
from belong_mail.accounts.models import Account, SignIn
from belong_mail.accounts.proof import Way
from belong_mail.accounts.session import signed_in
from belong_mail.core.tokens import BadToken, Purpose
from belong_mail.web.access import for_accounts, no_cookie, public
from belong_mail.web.context import asking_source, services, throttle, transaction

sign_in = Blueprint("sign_in", __name__)


@sign_in.route("/sign-in", methods=["GET", "POST"])
@public
@no_cookie
def ask() -> ResponseReturnValue:
    form = SignInForm()
    if form.is_sent():
        asking = accounts.SignInRequest(
            address=form.email.data or "",
            language=str(get_locale()),
            browser_hash=browsers.browser_hash(browsers.asking_browser()).hex(),
            source=asking_source(),
            known_as=browsers.known_as(),
        )
        with transaction() as session:
            due_at = throttle(session, known_as=asking.known_as)
            accounts.ask_to_sign_in(session, services().sealer, asking, due_at)
        return redirect(url_for(".sent"), 303)
    page = render_template("sign_in/ask.html", form=form, passkey_form=PasskeySignInForm())
    return page, 422 if form.errors else 200


@sign_in.get("/sign-in/sent")
@public
def sent() -> str:
    return render_template("sign_in/sent.html")


@sign_in.route("/sign-in/<token>", methods=["GET", "POST"])
@public
@no_cookie
def confirm(token: str) -> ResponseReturnValue:
    """Ask on GET; on POST sign in, if this is the browser that asked and there is no passkey."""
    public_id = services().tokens.read(Purpose.SIGN_IN, token)
    with transaction() as session:
        link = accounts.find_sign_in(session, public_id)
        account = session.get_one(Account, link.account_id)
        is_ours = accounts.has_asked(session, link, browsers.asked_as())
        has_passkey = accounts.has_passkey(session, account)
        if request.method == "POST" and is_ours and not has_passkey:
            return _begin(session, link)
        if request.method == "POST":
            why = "has-passkey" if is_ours else "other-browser"
            accounts.record_refusal(session, account, why)
    action = url_for(".confirm", token=token)
    shown = {"action": action, "is_ours": is_ours, "has_passkey": has_passkey}
    page = render_template("sign_in/confirm.html", **shown)
    return page, 200 if request.method != "POST" else 403


def _begin(session: Session, link: SignIn) -> Response:
    """Sign this browser in, and know it again when it asks the next time."""
    account = session.get_one(Account, accounts.use_sign_in(session, link))
    browsers.start_session(session, account)
    return browsers.go_home(account)


@sign_in.route("/confirm-identity/<token>", methods=["GET", "POST"])
@public
@no_cookie
def prove(token: str) -> ResponseReturnValue:
    """Ask on GET; on POST prove again who is signed in, if this is the session that asked."""
    public_id = services().tokens.read(Purpose.PROOF, token)
    with transaction() as session:
        link = accounts.find_sign_in(session, public_id)
        account = browsers.current_account(session)
        is_ours = account is not None and proof.may_use(session, link, account)
        if request.method == "POST" and account is not None and is_ours:
            accounts.use_sign_in(session, link)
            proof.prove(session, account, "link")
            return redirect(url_for("account.confirm_identity"), 303)
        if request.method == "POST":
            owner = session.get_one(Account, link.account_id)
            accounts.record_refusal(session, owner, "other-session")
    page = render_template(
        "sign_in/prove.html", action=url_for(".prove", token=token), is_ours=is_ours
    )
    return page, 200 if request.method != "POST" else 403


@sign_in.route("/invitation/<token>", methods=["GET", "POST"])
@public
@no_cookie
def accept(token: str) -> ResponseReturnValue:
    """Ask on GET; on POST let the invited person do what they accept, and sign in."""
    try:
        name = services().tokens.read(Purpose.INVITATION, token)
        with transaction() as session:
            if request.method == "POST":
                accounts.accept(session, services().sealer, name, request.form.get("accept", ""))
                return redirect(url_for(".ask", done="accepted"), 303)
            invitation = accounts.find_invitation(session, name)
    except BadToken:
        return render_template("sign_in/no_invitation.html"), 404
    return render_template("sign_in/invitation.html", invitation=invitation, action=request.path)


@sign_in.post("/sign-out")
@for_accounts
def out() -> Response:
    """Sign out here, and be known here again; or with `everywhere` on every browser."""
    is_everywhere = "everywhere" in request.form
    with transaction() as session:
        account = browsers.current_account(session)
        if account is not None and is_everywhere:
            browsers.end_all_sessions(session, account.id)
        browsers.end_session(session)
    answer = make_response(redirect(url_for("directory.index"), 303))
    if is_everywhere:
        browsers.forget_browser(answer)
    if services().settings.base_url.startswith("https:"):
        left = '"cookies", ' if is_everywhere else ""
        answer.headers["Clear-Site-Data"] = f'"cache", {left}"storage"'
    return answer


account = Blueprint("account", __name__, url_prefix="/account")


@account.route("/proof", methods=["GET", "POST"])
@for_accounts
def confirm_identity() -> ResponseReturnValue:
    """Say how to prove again who is signed in, or that it is done; on POST have a link emailed."""
    form = ProofForm()
    with transaction() as session:
        way = proof.way(session, services().settings, signed_in())
        if form.validate_on_submit() and way is not Way.PASSKEY:
            throttle(session, known_as=browsers.here().public_id)
            language = str(get_locale())
            proof.ask_for_link(session, services().sealer, signed_in(), language)
            return redirect(url_for(".confirm_identity", asked=1), 303)
    back = proof.page_to_go_back_to()
    shown = {"is_fresh": proof.is_fresh(), "way": way, "back": back}
    return render_template("account/proof.html", form=form, **shown)


@account.get("/sessions")
@for_accounts
def sessions() -> str:
    """List where the account is signed in."""
    with transaction() as session:
        found = browsers.sessions_of(session, signed_in())
    listed = [(each, browsers.last_end(each)) for each in found]
    return render_template("account/sessions.html", sessions=listed, here_id=browsers.here().id)


@account.post("/sessions/end")
@for_accounts
def end() -> ResponseReturnValue:
    """End one session, or with `others` all but this one."""
    with transaction() as session:
        if "others" in request.form:
            browsers.end_others(session, signed_in())
        else:
            browsers.end_one(session, signed_in(), request.form.get("session", ""))
    return redirect(url_for(".sessions", done="ended"), 303)
