"""Public pages: directory, groups, privacy, accessibility, robots.txt, health."""

from datetime import UTC, datetime, time, timedelta

from flask import Blueprint, Response, abort, redirect, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from belong_mail.core import site_settings
from belong_mail.core.db import now
from belong_mail.groups import service as groups
from belong_mail.groups.presenters import group_view, page_view
from belong_mail.meetings import formatting
from belong_mail.meetings import service as meetings
from belong_mail.web.access import public
from belong_mail.web.context import services
from belong_mail.web.language import request_language
from belong_mail.web.page import Page, page

# Validity of `security.txt`: under a year, as RFC 9116, 2.5.5, advises.
PROMISED = timedelta(days=180)
directory = Blueprint("directory", __name__)


@directory.get("/")
@public
def index(session: Session) -> Page:
    cards = [group_view(group, request_language()) for group in groups.listed(session)]
    return page(
        "directory/index.html",
        established=[each for each in cards if not (each.is_upcoming or each.last_day)],
        upcoming=[each for each in cards if each.is_upcoming and not each.last_day],
        ending=[each for each in cards if each.last_day],
        video_url=site_settings.with_changes(session, services().settings).video_url,
    )


@directory.get("/groups/<slug>")
@public
def group(session: Session, slug: str) -> Page:
    found = groups.find_unless_ended(session, slug) or abort(404)
    language, zone = request_language(), services().settings.timezone
    coming = meetings.upcoming(session, zone, now(), meetings.NEXT, found)
    shown = [formatting.meeting_view(each, language) for each in coming]
    return page("directory/group.html", meetings=shown, **page_view(found, language))


@directory.get("/privacy")
@public
def privacy() -> Page:
    return page("directory/privacy.html")


@directory.get("/accessibility")
@public
def accessibility() -> Page:
    return page("directory/accessibility.html")


@directory.get("/favicon.ico")
@public
def favicon() -> ResponseReturnValue:
    """Redirect browsers that request the icon without reading a page's link."""
    return redirect(url_for("static", filename="logo.svg", lang=None), 308)


@directory.get("/robots.txt")
@public
def robots() -> Response:
    """Allow robots on public pages; the pages of emailed links refuse them by X-Robots-Tag."""
    return Response("User-agent: *\nDisallow: /lead/\n", mimetype="text/plain")


@directory.get("/.well-known/security.txt")
@public
def security() -> Response:
    """Say where to report a security problem (RFC 9116)."""
    until = datetime.combine(now().date() + PROMISED, time(), UTC)
    lines = {
        "Contact": services().settings.base_url + url_for("contact.write", lang=None),
        "Expires": f"{until:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages": "en, es",
        "Canonical": services().settings.base_url + url_for(".security", lang=None),
    }
    text = "".join(f"{name}: {value}\n" for name, value in lines.items())
    return Response(text, mimetype="text/plain")


@directory.get("/too-long")
@public
def too_long() -> ResponseReturnValue:
    """Show the error page for too large a body; the proxy forwards to it."""
    abort(413)


@directory.get("/healthz")
@public
def healthz() -> ResponseReturnValue:
    """Answer while the process runs, without the database."""
    return "ok\n", 200, {"Content-Type": "text/plain; charset=utf-8"}
