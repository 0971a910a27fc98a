"""The pages that need nobody's name: directory, group, promises, and the machines' questions."""

from datetime import UTC, datetime, time, timedelta

from flask import Blueprint, Response, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy import text

from belong_mail.current import parts, transaction
from belong_mail.db import now
from belong_mail.groups import service as groups
from belong_mail.groups.cards import card, resources_of
from belong_mail.meetings import service as meetings
from belong_mail.meetings import words
from belong_mail.tokens import Purpose

PROMISED = timedelta(days=180)
"""For how long `security.txt` may be believed; RFC 9116, section 2.5.5, advises under a year."""

directory = Blueprint("directory", __name__)

NEXT = 3
"""Meetings that a group's page shows."""
RESULTS = {
    "welcome": "subscriptions/welcome.html",
    "left": "subscriptions/left.html",
    "back": "subscriptions/back.html",
    "refused": "subscriptions/not_me_done.html",
    "forgotten": "interests/forgotten.html",
    "moved": "moving/confirmed.html",
    "erased": "memberships/erased.html",
    "mailbox": "shared_mailbox/confirmed.html",
}
"""Pages that say what a press has done."""


@directory.get("/")
def index() -> str:
    language = str(get_locale())
    with transaction() as session:
        cards = [card(group, language) for group in groups.shown(session)]
    return render_template(
        "directory/index.html",
        established=[each for each in cards if not each.is_upcoming],
        upcoming=[each for each in cards if each.is_upcoming],
        video_url=parts().settings.video_url,
    )


@directory.get("/groups/<slug>")
def group(slug: str) -> str:
    with transaction() as session:
        found = groups.find(session, slug) or abort(404)
        language = str(get_locale())
        shown, resources = card(found, language), resources_of(found, language)
        zone = parts().settings.timezone
        coming = meetings.coming(session, zone, now(), NEXT, found)
    return render_template(
        "directory/group.html",
        group=shown,
        resources=resources,
        meetings=[words.shown(each, language) for each in coming],
    )


@directory.get("/result/<token>")
def result(token: str) -> str:
    """Say once more, in another language, what a press has done; the press is not repeated."""
    page, number, detail = parts().tokens.read(Purpose.RESULT, token).split("~")
    language, zone = str(get_locale()), parts().settings.timezone
    context: dict[str, object] = {"choice": detail, "undo_token": detail}
    with transaction() as session:
        if number:
            found = groups.numbered(session, int(number)) or abort(404)
            coming = meetings.next_held(session, zone, now(), 1, found)
            held = [words.shown(each, language) for each in coming]
            context |= {"group": card(found, language), "meetings": held}
    return render_template(RESULTS[page], is_private=True, **context)


@directory.get("/privacy")
def privacy() -> str:
    return render_template("directory/privacy.html")


@directory.get("/accessibility")
def accessibility() -> str:
    return render_template("directory/accessibility.html")


@directory.get("/favicon.ico")
def favicon() -> ResponseReturnValue:
    """For browsers that ask here without looking at the page."""
    return redirect(url_for("static", filename="favicon.svg", lang=None), 308)


@directory.get("/robots.txt")
def robots() -> Response:
    """Let the public pages be found; mailed links forbid it themselves, in their headers."""
    return Response("User-agent: *\nDisallow: /lead/\n", mimetype="text/plain")


@directory.get("/.well-known/security.txt")
def security() -> Response:
    """Say where somebody who found a hole can write (RFC 9116)."""
    until = datetime.combine(now().date() + PROMISED, time(), UTC)
    lines = {
        "Contact": parts().settings.base_url + url_for("contact.write", lang=None),
        "Expires": f"{until:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages": "en, es",
        "Canonical": parts().settings.base_url + url_for(".security", lang=None),
    }
    text = "".join(f"{name}: {value}\n" for name, value in lines.items())
    return Response(text, mimetype="text/plain")


@directory.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Live: the process answers."""
    return "ok\n", 200, {"Content-Type": "text/plain; charset=utf-8"}


@directory.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Ready: the database answers, too."""
    with transaction() as session:
        session.execute(text("SELECT 1 FROM groups LIMIT 1"))
    return "ok\n", 200, {"Content-Type": "text/plain; charset=utf-8"}
