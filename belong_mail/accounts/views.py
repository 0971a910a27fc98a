"""Pages to sign in, to sign in again, and to sign out, and those of one's account."""

import hashlib
import secrets
from base64 import b64decode, b64encode
from datetime import timedelta

from flask import Blueprint, Response, abort, jsonify, make_response, redirect, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from belong_mail.accounts import people, proof, signing_in
from belong_mail.accounts import service as accounts
from belong_mail.accounts import session as browsers
from belong_mail.accounts.forms import OwnNameForm, PasskeyForm, PasskeySignInForm, SignInForm
from belong_mail.accounts.jobs import SendSignInLink
from belong_mail.accounts.models import Account, SignIn
from belong_mail.accounts.proof import Way
from belong_mail.accounts.session import signed_in
from belong_mail.accounts.signing_in import PasskeyRefused
from belong_mail.core import rate_limits
from belong_mail.core.db import now
from belong_mail.core.i18n import NAMES
from belong_mail.core.tokens import Purpose, link_hash
from belong_mail.web.access import for_accounts, fresh_proof, no_cookie, public
from belong_mail.web.context import (
    read_transaction,
    services,
    throttle,
    transaction,
)
from belong_mail.web.language import gettext as _
from belong_mail.web.page import Page, page, unrecorded

sign_in = Blueprint("sign_in", __name__)


@sign_in.route("/sign-in", methods=["GET", "POST"])
@public
@no_cookie
def ask(session: Session) -> ResponseReturnValue:
    form = SignInForm()
    if form.is_sent():
        proof.ask_for_link(session, SendSignInLink, form.email.data or "")
        return redirect(url_for(".sent"), 303)
    shown = {"form": form, "passkey_form": PasskeySignInForm()}
    return page("sign_in/ask.html", has_ended=browsers.has_ended(session), **shown)


@sign_in.get("/sign-in/sent")
@public
def sent() -> Page:
    return page("sign_in/sent.html")


@sign_in.route("/sign-in/<token>", methods=["GET", "POST"])
@public
@no_cookie
def confirm(session: Session, token: str) -> ResponseReturnValue:
    """Ask on GET; on POST sign in, if this browser requested the link and there is no passkey."""
    public_id = link_hash(services().tokens.read(Purpose.SIGN_IN, token))
    link = signing_in.find_sign_in(session, public_id)
    account = session.get_one(Account, link.account_id)
    form = OwnNameForm(account)
    is_ours = signing_in.has_asked(session, link, browsers.asked_as())
    has_passkey = signing_in.has_passkey(session, account)
    may_enter = is_ours and not has_passkey
    if may_enter and form.is_sent():
        return _begin(session, link, form)
    if form.is_submitted() and not may_enter:
        why = "has-passkey" if is_ours else "other-browser"
        signing_in.record_refusal(session, account, why)
    status = (422 if may_enter else 403) if form.is_submitted() else 200
    is_proof = browsers.current_account(session) == account
    shown = {"form": form, "is_ours": is_ours, "has_passkey": has_passkey, "is_proof": is_proof}
    return page("sign_in/confirm.html", status, action=url_for(".confirm", token=token), **shown)


def _begin(session: Session, link: SignIn, form: OwnNameForm) -> Response:
    """Sign this browser in, and remember it as a known one."""
    account = session.get_one(Account, signing_in.use_sign_in(session, link))
    form.name_it(session, account)
    browsers.start_session(session, account)
    return browsers.go_home(account)


@sign_in.route("/invitation/<token>", methods=["GET", "POST"])
@public
@no_cookie
def accept(session: Session, token: str) -> ResponseReturnValue:
    """Ask on GET; on POST accept the invitation, and sign in."""
    secret = services().tokens.read(Purpose.INVITATION, token)
    rights = accounts.find_invitation(session, secret)
    account = rights[0].person
    is_used = not any(each.is_pending for each in rights)
    if is_used and request.method == "GET" and browsers.current_account(session) == account:
        return browsers.go_home(account)
    form = OwnNameForm(account)
    if form.is_sent():
        return _accept_and_enter(session, secret, form, account)
    shown = {"form": form, "rights": rights, "action": url_for(".accept", token=token)}
    return page("sign_in/invitation.html", signed_in=browsers.current_account(session), **shown)


def _accept_and_enter(
    session: Session, secret: str, form: OwnNameForm, account: Account
) -> Response:
    """Accept the chosen rights; sign in people whose proof of identity is by email.

    The session begins without a fresh proof, as the link works for days and in any browser. A used
    link signs no one in.
    """
    only = request.form.get("accept", "")
    is_news = accounts.accept(session, services().sealer, secret, only)
    if not is_news or proof.way(session, services().settings, account) is not Way.EMAIL:
        return make_response(redirect(url_for(".ask", done="accepted"), 303))
    form.name_it(session, account)
    browsers.start_session(session, account, "invitation", is_proven=False)
    return browsers.go_home(account, done="accepted")


@sign_in.post("/sign-out")
@for_accounts
def out(session: Session) -> Response:
    """Sign out this browser, which stays known; with `everywhere`, all browsers."""
    is_everywhere = "everywhere" in request.form
    if is_everywhere:
        people.end_sessions(session, signed_in())
    browsers.end_session(session)
    answer = make_response(redirect(url_for("directory.index"), 303))
    if is_everywhere:
        browsers.forget_browser(answer)
    if services().settings.base_url.startswith("https:"):
        left = '"cookies", ' if is_everywhere else ""
        answer.headers["Clear-Site-Data"] = f'"cache", {left}"storage"'
    return answer


account = Blueprint("account", __name__, url_prefix="/account")


@account.get("/proof")
@for_accounts
def proven(session: Session) -> ResponseReturnValue:
    """Say that the proof is given, and where to go on; offer a passkey to skip the email."""
    back = proof.page_to_go_back_to() or url_for("lead.home")
    if not proof.is_fresh():
        return redirect(back, 303)
    way = proof.way(session, services().settings, signed_in())
    return page("account/proof.html", back=back, is_by_email=way is Way.EMAIL)


@account.route("", methods=["GET", "POST"], endpoint="page")
@for_accounts
@fresh_proof
def own_page() -> ResponseReturnValue:
    """Show ways to sign in and sessions; on POST store the passkey that a browser has created."""
    form = PasskeyForm(name=_("My passkey"))
    if form.validate_on_submit() and form.answer.data:
        try:
            _add_passkey(_use_challenge(ADD), form)
            return redirect(url_for(".page", done="added"), 303)
        except PasskeyRefused as refused:
            _record_refusal(refused)
            form.name.errors = (str(form.not_added),)
    form.answer.data = ""
    with read_transaction() as session:
        shown = _signed_in_by(session) | {
            "sessions": browsers.sessions_of(session, signed_in()),
            "here_id": browsers.current_session().id,
        }
    return page("account/page.html", form=form, mails_in=signed_in().language, **shown)


def _signed_in_by(session: Session) -> dict[str, object]:
    """Return an account's passkeys, and its identity if it signs in by the district."""
    found, settings = signing_in.passkeys_of(session, signed_in()), services().settings
    by_district = signing_in.uses_district(session, settings, signed_in())
    return {
        "passkeys": found,
        "identity": signing_in.identity_of(session, signed_in()) if by_district else None,
        "may_add": not by_district and len(found) < signing_in.MAX_PASSKEYS,
    }


def _add_passkey(challenge: bytes, form: PasskeyForm) -> None:
    from belong_mail.accounts import passkeys  # noqa: PLC0415 - 20 ms, for those who have one

    with transaction() as session:
        if signing_in.uses_district(session, services().settings, signed_in()):
            raise PasskeyRefused("passkey-district", signed_in())
        said = (challenge, form.answer.data or "", form.name.data or "")
        passkeys.add(session, services().sealer, _base_url(), signed_in(), *said)
        browsers.end_others(session, signed_in())


@account.post("/language")
@for_accounts
@unrecorded("In which language one is emailed.")
def set_language(session: Session) -> ResponseReturnValue:
    code = request.form.get("language", "")
    if code not in NAMES:
        abort(400)
    accounts.set_language(session, signed_in(), code)
    return redirect(url_for(".page", done="language"), 303)


@account.post("/sessions/end")
@for_accounts
def end(session: Session) -> ResponseReturnValue:
    """End one session, or with `others` all but this one."""
    if "others" in request.form:
        browsers.end_others(session, signed_in())
    else:
        browsers.end_one(session, signed_in(), request.form.get("session", ""))
    return redirect(url_for(".page", done="ended"), 303)


# Passkey pages: our script lets the browser answer a challenge, which is kept in the signed cookie
# for one purpose, and used up before the response is read.
passkey = Blueprint("passkey", __name__)
CHALLENGE_KEY = "passkey"
CHALLENGE_MAX_AGE = timedelta(minutes=5)
SIGN_IN, ADD = "sign-in", "add"


@passkey.post("/sign-in/passkey")
@public
@no_cookie
def begin(session: Session) -> ResponseReturnValue:
    """Return a challenge to sign in; the options are the same for everyone."""
    from belong_mail.accounts import passkeys  # noqa: PLC0415 - 20 ms, for those who have one

    form = PasskeySignInForm()
    if not form.is_sent():
        return _sign_in_page(form)
    return jsonify(passkeys.request_options(_base_url(), _new_challenge(session, SIGN_IN)))


@passkey.post("/sign-in/passkey/finish")
@public
@no_cookie
def finish() -> ResponseReturnValue:
    """Sign this browser in by a signed challenge."""
    from belong_mail.accounts import passkeys  # noqa: PLC0415 - 20 ms, for those who have one

    form = PasskeySignInForm()
    if not form.is_sent():
        return _sign_in_page(form)
    challenge = _use_challenge(SIGN_IN)
    with transaction() as session:
        account = passkeys.find_owner(session, _base_url(), challenge, form.answer.data or "")
        if not accounts.may_sign_in(session, account):
            raise PasskeyRefused("no-right", account)
        if signing_in.uses_district(session, services().settings, account):
            raise PasskeyRefused("passkey-district", account)
        browsers.start_session(session, account, "passkey")
    return browsers.go_home(account)


def _sign_in_page(form: PasskeySignInForm) -> Page:
    return page("sign_in/ask.html", 422, form=SignInForm(), passkey_form=form)


@passkey.errorhandler(PasskeyRefused)
def refuse(refused: PasskeyRefused) -> ResponseReturnValue:
    """Say that the passkey could not be used."""
    _record_refusal(refused)
    advice = _(
        "This passkey can’t be used here now. Try once more, or get a link by email. If your"
        " account has a passkey, an emailed link doesn’t sign you in. Lost it? The %(program_name)s"
        " office can let you sign in by email again."
    )
    button = url_for("sign_in.ask"), _("Back to sign-in")
    title = _("We couldn’t sign you in")
    return page("errors/error.html", 403, title=title, advice=advice, button=button)


@passkey.post("/account/passkeys/options")
@for_accounts
@fresh_proof
def options(session: Session) -> Response:
    """Return the browser's options for a new passkey."""
    from belong_mail.accounts import passkeys  # noqa: PLC0415 - 20 ms, for those who have one

    challenge = _new_challenge(session, ADD)
    return jsonify(passkeys.creation_options(session, _base_url(), signed_in(), challenge))


@passkey.post("/account/passkeys/remove")
@for_accounts
@fresh_proof
def remove(session: Session) -> ResponseReturnValue:
    public_id = request.form.get("passkey", "")
    signing_in.remove_passkey(session, services().sealer, signed_in(), public_id)
    browsers.end_others(session, signed_in())
    return redirect(url_for("account.page", done="removed"), 303)


def _new_challenge(session: Session, purpose: str) -> bytes:
    """Create a challenge, and keep it in the browser's cookie."""
    throttle(session, rate_limits.NO_WAIT, known_as=browsers.known_as())
    challenge = secrets.token_bytes(32)
    cookie[CHALLENGE_KEY] = [purpose, b64encode(challenge).decode(), int(now().timestamp())]
    return challenge


def _use_challenge(purpose: str) -> bytes:
    """Use up this browser's challenge, and return it. Raises PasskeyRefused.

    It commits before the response is verified, so that no copy of the cookie can try again.
    """
    kept = cookie.pop(CHALLENGE_KEY, None)
    if not isinstance(kept, list) or kept[0] != purpose:
        raise PasskeyRefused
    if not 0 <= now().timestamp() - kept[2] <= CHALLENGE_MAX_AGE.total_seconds():
        raise PasskeyRefused
    challenge = b64decode(kept[1])
    used = hashlib.sha256(b"passkey/" + challenge).digest()
    with transaction() as session:
        throttle(session, rate_limits.NO_WAIT, known_as=browsers.known_as())
        rate, counts = rate_limits.CHALLENGE_RATE, rate_limits.Limit
        if rate_limits.try_use(session, used, rate, now(), table=counts) is None:
            raise PasskeyRefused
    return challenge


def _record_refusal(refused: PasskeyRefused) -> None:
    with transaction() as session:
        account = session.scalar(select(Account).where(Account.public_id == refused.account))
        signing_in.record_refusal(session, account, refused.why)


def _base_url() -> str:
    return str(services().settings.base_url)
