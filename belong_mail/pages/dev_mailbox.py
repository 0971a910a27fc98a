"""The development mailbox: sent emails, as their readers see them."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from belong_mail.mail.hosts import is_this_machine
from belong_mail.mail.smtp.transport import FILE_NAME, mail_folder, message_files
from belong_mail.web.access import development
from belong_mail.web.context import services

mailbox = Blueprint("mailbox", __name__, url_prefix="/dev/mailbox")


# For an email itself: its styles are inline, and it runs no script.
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:;"
    " frame-ancestors 'self'; base-uri 'none'; form-action 'none';"
    " sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)


PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SHOWN = 100
# Seconds before and after “Open the email” in which an email may come.
BEFORE, AFTER = 10, 6
# Headers of a proxy, behind which a visitor may be anyone.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


@mailbox.before_request
def refuse_others() -> None:
    """Refuse other machines, as the mailbox shows everyone's email without a sign-in."""
    is_forwarded = any(name in request.headers for name in FORWARDED)
    if is_forwarded or not is_this_machine(request.remote_addr or ""):
        abort(404)


def _folder() -> Path:
    return services().settings.state_folder / "mailbox"


@mailbox.get("")
@development
def index() -> ResponseReturnValue:
    """List sent emails; with `since`, reload until the expected one is there."""
    if request.args.get("since") == "now":
        return redirect(url_for(".index", since=int(time.time())))
    since = request.args.get("since", 0, type=int)
    shown = newest_mails(_folder(), SHOWN)
    is_waiting = not any(mail.received_at.timestamp() > since - BEFORE for mail in shown)
    page = Response(render_template("mailbox/index.html", mails=shown, is_waiting=is_waiting))
    if is_waiting or time.time() < since + AFTER:
        page.headers["Refresh"] = "2"
    return page


@mailbox.get("/<file>")
@development
def mail(file: str) -> Response:
    found = find_mail(_folder(), file) or abort(404)
    html_url = url_for(".html", file=file)
    page = Response(render_template("mailbox/mail.html", mail=found, html_url=html_url))
    page.headers["Content-Security-Policy"] = PAGE_POLICY
    return page


@mailbox.get("/<file>/html")
@development
def html(file: str) -> Response:
    found = find_mail(_folder(), file) or abort(404)
    opens_above = found.html.replace("<head>", '<head><base target="_top">', 1)
    page = Response(opens_above, mimetype="text/html")
    page.headers["Content-Security-Policy"] = MAIL_POLICY
    page.headers["X-Frame-Options"] = "SAMEORIGIN"
    return page


@dataclass(frozen=True, slots=True)
class StoredMail:
    """A stored message, as its reader sees it, and its source."""

    name: str
    received_at: datetime
    recipient: str
    subject: str
    sender: str
    text: str
    html: str
    source: str


def newest_mails(folder: Path, n: int) -> list[StoredMail]:
    """Return the newest messages, at most n."""
    found = (find_mail(folder, name) for name in message_files(folder)[: -n - 1 : -1])
    return [kept for kept in found if kept is not None]


def find_mail(folder: Path, name: str) -> StoredMail | None:
    """Return the message in a file, or None if there is no such file."""
    if not FILE_NAME.fullmatch(name):
        return None
    try:
        recipient, _, source = mail_folder(folder, name).read_bytes().partition(b"\r\n")
    except FileNotFoundError:
        return None
    message = BytesParser(EmailMessage, policy=policy.default).parsebytes(source)
    return StoredMail(
        name=name,
        received_at=datetime.fromtimestamp(int(name[:20]) / 1e9, UTC),
        recipient=recipient.decode(),
        subject=str(message["Subject"] or ""),
        sender=str(message["From"] or ""),
        text=_part(message, "plain"),
        html=_part(message, "html"),
        source=source.decode("utf-8", "replace"),
    )


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    return "" if body is None else str(body.get_content()).replace("\r\n", "\n")
