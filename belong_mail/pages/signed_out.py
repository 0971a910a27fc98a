"""Give back forms that were refused: signed out, proof too old, or Origin unknown.

Nothing is stored: the page contains what was typed, and the browser sends it again. A form with an
earlier session's token is shown again, filled in, but never acted on.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from flask import Flask, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException, ServiceUnavailable, TooManyRequests

from belong_mail.accounts import proof
from belong_mail.accounts.jobs import SignInAgain
from belong_mail.accounts.service import NotFound
from belong_mail.accounts.session import signed_in, was_signed_in
from belong_mail.accounts.signing_in import PasskeyRefused
from belong_mail.core import audit
from belong_mail.newsletters.service import InvalidState
from belong_mail.web.access import ProofNeeded, SignedOut
from belong_mail.web.context import (
    only_read,
    read_transaction,
    services,
    show_again,
    transaction,
)
from belong_mail.web.forms import LANGUAGE_SWITCH, PublicForm
from belong_mail.web.security_headers import OriginHidden

CSRF_FIELD = "csrf_token"
NOT_KEPT = {CSRF_FIELD, LANGUAGE_SWITCH}
SHOWN, WRONG = 200, 422


def register_signed_out_pages(app: Flask) -> None:
    app.register_error_handler(SignedOut, signed_out)
    app.register_error_handler(CSRFError, stale_form)
    app.register_error_handler(ProofNeeded, ask_for_proof)
    app.register_error_handler(OriginHidden, origin_hidden)


def signed_out(error: SignedOut) -> ResponseReturnValue:
    """Ask to sign in again in another tab, on a page that keeps what was typed.

    A form with a large file is read only if a leader was signed in in this browser.
    """
    return _kept_page(is_read=not has_large_file() or was_signed_in()), error.code or 403


def stale_form(error: CSRFError) -> ResponseReturnValue:
    """Show a leader's form again with what was typed and a fresh token, without acting on it.

    The page's own view shows it, while no form counts as sent and the database refuses to write. A
    button without fields must be selected once more.
    """
    show_again()
    try:
        shown = current_app.make_response(current_app.dispatch_request())
    except (HTTPException, NotFound, InvalidState, PasskeyRefused, DBAPIError):
        shown = current_app.response_class(status=error.code)
    if shown.status_code != SHOWN:
        return _kept_page(), error.code or 400
    shown.status_code = error.code or 400
    return shown


def origin_hidden(error: OriginHidden) -> ResponseReturnValue:
    """Ask to send the form again from this page, whose origin is certain."""
    return _kept_page("errors/send_again.html", is_read=not has_large_file()), error.code or 403


def ask_for_proof(error: ProofNeeded) -> ResponseReturnValue:
    """Ask to sign in again in another tab, on a page that keeps the form.

    First the page's own view runs, while the database refuses to write: if the form is invalid, or
    only changes its language, its own page is shown instead. If the proof is by email, a link is
    asked for at once.
    """
    with only_read(), suppress(HTTPException, NotFound, InvalidState, PasskeyRefused, DBAPIError):
        shown = current_app.make_response(current_app.dispatch_request())
        is_turned = LANGUAGE_SWITCH in request.form and shown.status_code == SHOWN
        if is_turned or shown.status_code == WRONG:
            return shown
    with read_transaction() as session:
        way = proof.way(session, services().settings, signed_in())
    proof.remember_page()
    shown_as: dict[str, Any] = {
        "form": PublicForm(formdata=None),
        "way": way,
        "back": proof.page_to_go_back_to(),
        "is_asked": way is proof.Way.EMAIL and (_has_asked() or _ask_for_link()),
    }
    return _kept_page("account/proof_needed.html", **shown_as), error.code or 403


def _has_asked() -> bool:
    """Return whether another request has asked, or will ask, for the link.

    This request only changes the page's language, or is our script's, which sends the form next.
    """
    is_script = request.accept_mimetypes.best == "application/json"
    return LANGUAGE_SWITCH in request.form or is_script


def _ask_for_link() -> bool:
    """Ask for a link by which the signed-in person proves who they are; False if too many wait."""
    try:
        with transaction() as session:
            proof.ask_for_link(session, SignInAgain, signed_in().public_id)
            audit.record(session, audit.Kind.PROOF_ASKED)
    except (TooManyRequests, ServiceUnavailable):
        return False
    return True


def has_large_file() -> bool:
    """Return whether a form is longer than a form without files may be, and may have files."""
    usual: int = current_app.config["MAX_CONTENT_LENGTH"]
    is_long = (request.content_length or 0) > usual
    return is_long and request.mimetype == "multipart/form-data"


def _kept_page(name: str = "errors/signed_out.html", *, is_read: bool = True, **shown: Any) -> str:
    """Return a page with a copy of the form, but without its files."""
    given = request.form.items(multi=True) if is_read else ()
    typed = [each for each in given if each[0] not in NOT_KEPT]
    query = request.query_string.decode("ascii", "replace")
    return render_template(
        name,
        action=quote(request.path) + (f"?{query}" if query else ""),
        typed=typed,
        texts=texts_of(words for _name, words in typed),
        has_files=not is_read or any(file.filename for file in request.files.values()),
        is_private=True,
        **shown,
    )


def texts_of(typed: Iterable[str]) -> list[str]:
    """Return the texts of several words, which someone would miss most."""
    return [words for words in typed if len(words.split()) > 1]
