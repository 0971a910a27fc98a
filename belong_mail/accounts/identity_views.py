"""Pages to sign in with the district's identity provider.

A button's POST sends the browser to the provider, which sends it back with a GET. The GET
changes nothing, and shows a button whose POST completes the sign-in. Random values in the browser's
signed cookie bind the response to the request.
"""

import hashlib
import secrets
from dataclasses import astuple

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    g,
    make_response,
    redirect,
    request,
    url_for,
)
from flask import session as cookie
from flask.typing import ResponseReturnValue
from wtforms import HiddenField

from belong_mail.accounts import session as browsers
from belong_mail.accounts import signing_in
from belong_mail.accounts.identity_provider import (
    AuthorizationRequest,
    IdentityProvider,
    Prompt,
    ProofRefused,
    ProviderUnavailable,
    is_same,
)
from belong_mail.core import audit, rate_limits
from belong_mail.core.db import now, required
from belong_mail.core.services import Settings
from belong_mail.web.access import for_accounts, fresh_proof, no_cookie, public
from belong_mail.web.context import services, throttle, transaction
from belong_mail.web.forms import BaseForm, PublicForm
from belong_mail.web.language import gettext as _
from belong_mail.web.page import page

district = Blueprint("district", __name__)
EXTENSION = "belong-district"
PENDING_KEY = "trip"
# Seconds from the first button to the last; the provider may ask for a second factor meanwhile.
MAX_PENDING_SECONDS = 600
MAX_CODE = 4096
SIGN_IN, AGAIN, LINK = "sign-in", "again", "link"
# Questions that the provider must ask even if it knows the browser.
PROMPTS = {LINK: Prompt.SELECT_ACCOUNT, AGAIN: Prompt.LOGIN}


class FinishForm(PublicForm):
    """The provider's response, as the browser returns it."""

    code = HiddenField()
    state = HiddenField()


def init_district(app: Flask, settings: Settings) -> None:
    """Register the pages, and show the button on the sign-in page."""
    name, _, value = settings.oidc_required_claim.partition("=")
    app.extensions[EXTENSION] = IdentityProvider(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret,
        redirect_uri=f"{settings.base_url}/sign-in/district/back",
        required_claim=(name, value) if name else None,
    )
    app.register_blueprint(district)
    app.context_processor(lambda: {"district_form": PublicForm})


@district.post("/sign-in/district")
@public
@no_cookie
def begin() -> ResponseReturnValue:
    """Send the browser to the provider; people signed in here have to sign in there again."""
    if not PublicForm().is_sent():
        return redirect(url_for("sign_in.ask"), 303)
    with transaction() as session:
        throttle(session, rate_limits.NO_WAIT)
        is_again = browsers.current_account(session) is not None
    return _leave(AGAIN if is_again else SIGN_IN)


@district.route("/sign-in/district/back", methods=["GET", "POST"])
@public
@no_cookie
def back() -> ResponseReturnValue:
    """Ask on GET; on POST complete the request that this browser began."""
    pending = _pending(request.values.get("state", ""))
    if pending is None or not _is_good_answer():
        return _refused()
    form = FinishForm(request.form if request.method == "POST" else request.args)
    if form.is_sent():
        return _complete(form.code.data or "", pending)
    return page("district/back.html", form=form, purpose=_purpose())


def _complete(code: str, pending: AuthorizationRequest) -> ResponseReturnValue:
    """Use up the request, call the provider outside of transactions, then sign in or link."""
    purpose, begun, *_ties = cookie.pop(PENDING_KEY)
    with transaction() as session:
        throttle(session, rate_limits.NO_WAIT)
        used = hashlib.sha256(f"trip/{pending.state}".encode()).digest()
        rate, counts = rate_limits.ROUND_TRIP_RATE, rate_limits.Limit
        if rate_limits.try_use(session, used, rate, now(), table=counts) is None:
            return _refused()
    try:
        subject, was_asked = _provider().subject_of(code, pending, begun)
        if purpose == AGAIN and not was_asked:
            return _note_refusal("proof")
        return _link(subject) if purpose == LINK else _sign_in(subject, was_asked=was_asked)
    except ProviderUnavailable:
        return _unavailable()
    except ProofRefused:
        return _note_refusal("proof")
    except signing_in.UnknownPerson:
        return _note_refusal("unknown")


def _sign_in(subject: str, *, was_asked: bool | None) -> Response:
    """Start a session; it is a fresh proof unless the provider says that it did not ask."""
    with transaction() as session:
        account = signing_in.account_of(session, services().settings, subject)
        browsers.start_session(session, account, "district", is_proven=was_asked is not False)
    return browsers.go_home(account)


def _link(subject: str) -> Response:
    """Queue a job that links the identity to the signed-in account."""
    with transaction() as session:
        account = required(browsers.current_account(session), signing_in.UnknownPerson)
        sealer, settings, here = services().sealer, services().settings, g.actor
        signing_in.ask_to_link(session, sealer, settings, account, subject, here.browser_session)
    return make_response(redirect(url_for("account.page", done="asked"), 303))


@district.post("/account/district")
@for_accounts
@fresh_proof
def link() -> ResponseReturnValue:
    """Send a signed-in person to the provider to link their identity."""
    with transaction() as session:
        is_linked = signing_in.identity_of(session, browsers.signed_in()) is not None
    if not is_linked and BaseForm().validate_on_submit():
        return _leave(LINK)
    return redirect(url_for("account.page"), 303)


def _leave(purpose: str) -> ResponseReturnValue:
    """Begin an authorization request, on a page that goes to the provider by Refresh.

    Browsers would block a redirect, by form-action of the content security policy.
    """
    pending = AuthorizationRequest(*(secrets.token_urlsafe(32) for _ in range(3)))
    cookie[PENDING_KEY] = [purpose, int(now().timestamp()), *astuple(pending)]
    try:
        url = _provider().authorization_url(pending, PROMPTS.get(purpose))
    except ProviderUnavailable:
        return _unavailable()
    answer = make_response(page("district/leave.html", url=url))
    answer.headers["Refresh"] = f"0; url={url}"
    return answer


def _pending(state: str) -> AuthorizationRequest | None:
    """Return this browser's pending request if `state` belongs to it and it has not expired."""
    kept = cookie.get(PENDING_KEY)
    if kept is None:
        return None
    _purpose, begun, *ties = kept
    if not 0 <= now().timestamp() - begun <= MAX_PENDING_SECONDS:
        return None
    pending = AuthorizationRequest(*ties)
    return pending if is_same(state, pending.state) else None


def _purpose() -> str:
    return str(cookie[PENDING_KEY][0])


def _is_good_answer() -> bool:
    """Return whether the response has a code, and no other issuer (RFC 9207)."""
    issuer = services().settings.oidc_issuer
    given = request.values
    is_ours = given.get("iss", issuer) == issuer
    return is_ours and "error" not in given and 0 < len(given.get("code", "")) <= MAX_CODE


def _note_refusal(why: str) -> ResponseReturnValue:
    with transaction() as session:
        audit.record(session, audit.Kind.SIGN_IN_REFUSED, detail=f"district-{why}")
    return _refused()


def _refused() -> ResponseReturnValue:
    """Show the same page for every refusal, with a way to start again."""
    return page("district/refused.html", 403)


def _unavailable() -> ResponseReturnValue:
    advice = _(
        "It’s a problem between our site and the district’s. Nothing has changed. Please try again"
        " in a few minutes."
    )
    button = url_for("sign_in.ask"), _("Go to the sign-in page")
    title = _("The %(district_short)s sign-in isn’t answering")
    return page("errors/error.html", 503, title=title, advice=advice, button=button)


def _provider() -> IdentityProvider:
    provider: IdentityProvider = current_app.extensions[EXTENSION]
    return provider
