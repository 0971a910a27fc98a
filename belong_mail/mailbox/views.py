"""The test mailbox's pages; they exist in development alone."""

import time
from pathlib import Path

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from belong_mail.current import parts
from belong_mail.mailbox import service as mails

mailbox = Blueprint("mailbox", __name__, url_prefix="/dev/mailbox")

MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:;"
    " frame-ancestors 'self'; base-uri 'none'; form-action 'none';"
    " sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)
"""For the mail itself: its styles stand within it, and it runs nothing."""
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SHOWN = 100
BEFORE, AFTER = 10, 6
"""Seconds around pressing “Open the mail” in which a mail may come."""


def _folder() -> Path:
    return parts().settings.state_folder / "mailbox"


@mailbox.get("")
def index() -> ResponseReturnValue:
    """List what was sent; with `since`, look again until the mail that was asked for has come."""
    if request.args.get("since") == "now":
        return redirect(url_for(".index", since=int(time.time())))
    since = request.args.get("since", 0, type=int)
    shown = mails.newest(_folder(), SHOWN)
    is_waiting = not any(mail.received_at.timestamp() > since - BEFORE for mail in shown)
    page = Response(render_template("mailbox/index.html", mails=shown, is_waiting=is_waiting))
    if is_waiting or time.time() < since + AFTER:
        page.headers["Refresh"] = "2"
    return page


@mailbox.get("/<name>")
def mail(name: str) -> Response:
    found = mails.find(_folder(), name) or abort(404)
    html_url = url_for(".html", name=name)
    page = Response(render_template("mailbox/mail.html", mail=found, html_url=html_url))
    page.headers["Content-Security-Policy"] = PAGE_POLICY
    return page


@mailbox.get("/<name>/html")
def html(name: str) -> Response:
    found = mails.find(_folder(), name) or abort(404)
    opens_above = found.html.replace("<head>", '<head><base target="_top">', 1)
    page = Response(opens_above, mimetype="text/html")
    page.headers["Content-Security-Policy"] = MAIL_POLICY
    page.headers["X-Frame-Options"] = "SAMEORIGIN"
    return page
