"""Pages for new colleagues: links, and a sheet and posters with QR codes."""

from functools import lru_cache
from typing import Any

from flask import Blueprint, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy.orm import Session

from belong_mail.core import i18n
from belong_mail.core.db import now
from belong_mail.core.links import Links
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group
from belong_mail.groups.presenters import group_view, localized
from belong_mail.meetings import service as meetings
from belong_mail.meetings.formatting import meeting_view
from belong_mail.web.access import public
from belong_mail.web.context import services
from belong_mail.web.language import gettext as _
from belong_mail.web.language import request_language, speaking
from belong_mail.web.page import Page, page

onboarding = Blueprint("onboarding", __name__)


@onboarding.get("/new-colleagues")
@public
def index(session: Session) -> Page:
    return page("onboarding/index.html", entries=_entries(session), code=request_language())


@onboarding.get("/new-colleagues/sheet")
@public
def handout(session: Session) -> Page:
    """Show one sheet for new colleagues in all languages."""
    words, soon = {}, {}
    for code in i18n.NAMES:
        with speaking(code):
            words[code] = Markup(render_template("onboarding/words.html"))  # noqa: S704 - escaped
            soon[code] = _("Starts this year")
    return page(
        "onboarding/handout.html",
        entries=_entries(session),
        words=words,
        soon=soon,
        home=qr_code(services().settings.base_url),
    )


@onboarding.get("/groups/<slug>/poster")
@public
def poster(session: Session, slug: str) -> Page:
    """Show a poster with the group's next meetings."""
    language, zone = request_language(), services().settings.timezone
    group = groups.find(session, slug) or abort(404)
    entry = onboarding_entry(group, services().links)
    coming = meetings.next_held(session, zone, now(), meetings.NEXT, group)
    dates = [meeting_view(each, language) for each in coming]
    return page(
        "onboarding/poster.html",
        entry=entry,
        group=entry["said"][language],
        audience=localized(group.audience, language),
        dates=dates,
    )


@onboarding.get("/g/<int(max=99999):number>")
@public
def short(session: Session, number: int) -> ResponseReturnValue:
    """Redirect a printed short URL to its group's page; numbers are never reused."""
    group = groups.by_id(session, number) or abort(404)
    return redirect(url_for("directory.group", slug=group.slug))


def _entries(session: Session) -> list[dict[str, Any]]:
    """List all groups that are not ending, in the directory's order."""
    found = (group for group in groups.listed(session) if not group.is_ending)
    return [onboarding_entry(group, services().links) for group in found]


def onboarding_entry(group: Group, links: Links) -> dict[str, Any]:
    """Return a group in each language, with its URL as people type it, and that as a QR code."""
    url = links.plain("onboarding.short", number=group.id)
    return {
        "said": {code: group_view(group, code) for code in i18n.NAMES},
        "typed": url.partition("://")[2],
        "code": qr_code(url),
    }


# A group's code never changes, and takes 3 ms to draw.
@lru_cache(maxsize=200)
def qr_code(text: str) -> Markup:
    """Return a text's QR code (ISO/IEC 18004) with error correction level M, for 15% of damage.

    It is dark on white in every theme; its address stands beside it for anyone who cannot scan.
    """
    import segno  # noqa: PLC0415 - for one page

    drawn = segno.make(text, error="m", micro=False)
    svg = drawn.svg_inline(light="#fff", omitsize=True, svgclass="qr", lineclass=None)
    hidden = 'aria-hidden="true" focusable="false" shape-rendering="crispEdges"'
    return Markup(svg.replace("<svg", f"<svg {hidden}", 1))  # noqa: S704 - numbers alone
