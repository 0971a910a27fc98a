"""The pages that need nobody's name: directory, group, privacy, and the machines' questions."""

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy import text

from belong_mail.db import now
from belong_mail.groups import service as groups
from belong_mail.groups.cards import card, resources_of
from belong_mail.meetings import service as meetings
from belong_mail.meetings import words
from belong_mail.parts import parts, transaction

directory = Blueprint("directory", __name__)

NEXT = 3
"""Meetings that a group's page shows."""


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


@directory.get("/privacy")
def privacy() -> str:
    return render_template("directory/privacy.html")


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
