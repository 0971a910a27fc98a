"""The test mailbox's pages; they exist in development alone."""

from flask import Blueprint, Response, abort, render_template, request, url_for

from belong_mail.mail.mailbox import Mailbox
from belong_mail.parts import parts

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


def _mailbox() -> Mailbox:
    return Mailbox(parts().settings.state_folder / "mailbox")


@mailbox.get("")
def index() -> str:
    """List what was sent; with `after`, wait until something newer has come."""
    mails = _mailbox().newest(SHOWN)
    after = request.args.get("after", "")
    is_waiting = not any(mail.name > after for mail in mails)
    return render_template("mailbox/index.html", mails=mails, is_waiting=is_waiting)


@mailbox.get("/<name>")
def mail(name: str) -> Response:
    found = _mailbox().find(name) or abort(404)
    html_url = url_for(".html", name=name)
    page = Response(render_template("mailbox/mail.html", mail=found, html_url=html_url))
    page.headers["Content-Security-Policy"] = PAGE_POLICY
    return page


@mailbox.get("/<name>/html")
def html(name: str) -> Response:
    found = _mailbox().find(name) or abort(404)
    page = Response(found.html, mimetype="text/html")
    page.headers["Content-Security-Policy"] = MAIL_POLICY
    page.headers["X-Frame-Options"] = "SAMEORIGIN"
    return page
