"""The pages of passkeys: sign in with one, prove who one is, add one, remove one.

A script of ours has the browser answer a challenge. That is kept in the browser's signed cookie,
for five minutes and one purpose, and is used up, for good, before an answer to it is looked at.
"""

import hashlib
import secrets
from base64 import b64decode, b64encode
from datetime import timedelta

from flask import (
    Blueprint,
    Response,
    jsonify,
    redirect,
    render_template,
    request,
    url_for,
)
from flask import session as cookie
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy import select

from belong_mail.accounts import identities, passkeys, proof
from belong_mail.accounts import service as accounts
from belong_mail.accounts import session as browsers
from belong_mail.accounts.forms import PasskeyForm, PasskeySignInForm, SignInForm
from belong_mail.accounts.models import Account
from belong_mail.accounts.passkeys import PasskeyRefused
from belong_mail.accounts.proof import Way
from belong_mail.accounts.session import signed_in
from belong_mail.core import rate_limits
from belong_mail.core.db import now
from belong_mail.web.access import for_accounts, fresh_proof, no_cookie, public
from belong_mail.web.context import services, throttle, transaction

passkey = Blueprint("passkey", __name__)
CHALLENGE_KEY = "passkey"
CHALLENGE_MAX_AGE = timedelta(minutes=5)
SIGN_IN, ADD, PROVE = "sign-in", "add", "prove"


@passkey.post("/sign-in/passkey")
@public
@no_cookie
def begin() -> ResponseReturnValue:
    """Say what a browser is to sign, the same to everybody."""
    form = PasskeySignInForm()
    if not form.is_sent():
        return _sign_in_page(form), 422
    with transaction() as session:
        throttle(session, rate_limits.NO_WAIT, known_as=browsers.known_as())
    return jsonify(passkeys.request_options(_base_url(), _new_challenge(SIGN_IN)))


@passkey.post("/sign-in/passkey/finish")
@public
@no_cookie
def sign_in() -> ResponseReturnValue:
    """Sign this browser in by what it has signed."""
    form = PasskeySignInForm()
    if not form.is_sent():
        return _sign_in_page(form), 422
    try:
        return _sign_in(_use_challenge(SIGN_IN), form.answer.data or "")
    except PasskeyRefused as refused:
        _record_refusal(refused)
    return render_template("passkeys/refused.html"), 403


def _sign_in_page(form: PasskeySignInForm) -> str:
    return render_template("sign_in/ask.html", form=SignInForm(), passkey_form=form)


def _sign_in(challenge: bytes, answer: str) -> Response:
    with transaction() as session:
        account = passkeys.find_owner(session, _base_url(), challenge, answer)
        if not accounts.may_sign_in(session, account):
            raise PasskeyRefused("no-right", account)
        if identities.is_used(session, services().settings, account):
            raise PasskeyRefused("passkey-district", account)
        browsers.start_session(session, account, "passkey")
    return browsers.go_home(account)


@passkey.post("/account/proof/passkey")
@for_accounts
def ask_again() -> Response:
    """Say what the browser of who is signed in is to sign, to prove again who they are."""
    with transaction() as session:
        throttle(session, rate_limits.NO_WAIT, known_as=browsers.here().public_id)
    return jsonify(passkeys.request_options(_base_url(), _new_challenge(PROVE)))


@passkey.post("/account/proof/passkey/finish")
@for_accounts
def prove() -> ResponseReturnValue:
    """Count this session as proved, if a passkey of who is signed in has signed."""
    try:
        _prove(_use_challenge(PROVE), request.form.get("answer", ""))
    except PasskeyRefused as refused:
        _record_refusal(refused)
        return render_template("passkeys/refused.html", is_proof=True), 403
    return redirect(url_for("account.confirm_identity"), 303)


def _prove(challenge: bytes, answer: str) -> None:
    with transaction() as session:
        owner = passkeys.find_owner(session, _base_url(), challenge, answer)
        way = proof.way(session, services().settings, signed_in())
        if owner.id != signed_in().id or way is not Way.PASSKEY:
            raise PasskeyRefused("passkey-other", owner)
        proof.prove(session, owner, "passkey")


@passkey.get("/account/passkeys")
@for_accounts
def listed() -> str:
    """List the account's passkeys."""
    with transaction() as session:
        found = passkeys.passkeys_of(session, signed_in())
        by_district = identities.is_used(session, services().settings, signed_in())
    may_add = not by_district and len(found) < passkeys.MAX_PASSKEYS
    shown = {"passkeys": found, "may_add": may_add, "by_district": by_district}
    return render_template("passkeys/listed.html", **shown)


@passkey.route("/account/passkeys/add", methods=["GET", "POST"])
@for_accounts
@fresh_proof
def add() -> ResponseReturnValue:
    """Ask what the new passkey is called; on POST keep what the browser has made."""
    form = PasskeyForm(name=_("My passkey"))
    if form.validate_on_submit() and form.answer.data:
        try:
            _add(_use_challenge(ADD), form)
            return redirect(url_for(".listed", done="added"), 303)
        except PasskeyRefused as refused:
            _record_refusal(refused)
            form.name.errors = (str(form.not_added),)
    form.answer.data = ""
    page = render_template("passkeys/add.html", form=form)
    return page, 422 if form.errors else 200


def _add(challenge: bytes, form: PasskeyForm) -> None:
    with transaction() as session:
        if identities.is_used(session, services().settings, signed_in()):
            raise PasskeyRefused("passkey-district", signed_in())
        said = (challenge, form.answer.data or "", form.name.data or "")
        passkeys.add(session, services().sealer, _base_url(), signed_in(), *said)
        browsers.end_others(session, signed_in())


@passkey.post("/account/passkeys/options")
@for_accounts
@fresh_proof
def options() -> Response:
    """Say what passkey a browser is to make."""
    with transaction() as session:
        throttle(session, rate_limits.NO_WAIT, known_as=browsers.here().public_id)
        made = passkeys.creation_options(session, _base_url(), signed_in(), _new_challenge(ADD))
    return jsonify(made)


@passkey.post("/account/passkeys/remove")
@for_accounts
@fresh_proof
def remove() -> ResponseReturnValue:
    with transaction() as session:
        name = request.form.get("passkey", "")
        passkeys.remove(session, services().sealer, signed_in(), name)
        browsers.end_others(session, signed_in())
    return redirect(url_for(".listed", done="removed"), 303)


@passkey.post("/account/passkeys/decline")
@for_accounts
def decline() -> ResponseReturnValue:
    """Show the offer on the first page no more."""
    with transaction(unrecorded="What one is offered.") as session:
        passkeys.decline(session, signed_in())
    return redirect(url_for("lead.home", done="declined"), 303)


def _new_challenge(purpose: str) -> bytes:
    """Make what a browser is to sign, and keep it in its cookie."""
    challenge = secrets.token_bytes(32)
    cookie[CHALLENGE_KEY] = [purpose, b64encode(challenge).decode(), int(now().timestamp())]
    return challenge


def _use_challenge(purpose: str) -> bytes:
    """Use up what this browser was asked to sign, and return it; raise PasskeyRefused.

    It is used up in a transaction of its own: whatever comes of the answer, and from whichever
    copy of the cookie, no answer to it is looked at again.
    """
    kept = cookie.pop(CHALLENGE_KEY, None)
    if not isinstance(kept, list) or kept[0] != purpose:
        raise PasskeyRefused
    if not 0 <= now().timestamp() - kept[2] <= CHALLENGE_MAX_AGE.total_seconds():
        raise PasskeyRefused
    challenge = b64decode(kept[1])
    used = hashlib.sha256(b"passkey/" + challenge).digest()
    known_as = browsers.known_as() if purpose == SIGN_IN else browsers.here().public_id
    with transaction() as session:
        throttle(session, rate_limits.NO_WAIT, known_as=known_as)
        rate, counts = rate_limits.CHALLENGE_RATE, rate_limits.Limit
        if rate_limits.try_use(session, used, rate, now(), table=counts) is None:
            raise PasskeyRefused
    return challenge


def _record_refusal(refused: PasskeyRefused) -> None:
    with transaction() as session:
        account = session.scalar(select(Account).where(Account.public_id == refused.account))
        accounts.record_refusal(session, account, refused.why)


def _base_url() -> str:
    return str(services().settings.base_url)
