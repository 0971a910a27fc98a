"""For new colleagues and whoever welcomes them: pages, paper, and a mail that others send."""

from collections.abc import Callable
from datetime import datetime
from email import policy
from email.message import EmailMessage
from typing import cast

from flask import Blueprint, Response, abort, current_app, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, get_locale
from markupsafe import Markup
from sqlalchemy.orm import Session

from belong_mail import languages
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group
from belong_mail.newcomers import service
from belong_mail.newcomers.encoding import code_of
from belong_mail.outbox.rendering import Rendered
from belong_mail.parts import parts, transaction

NextDates = Callable[[Session, Group, str], list[tuple[datetime, str]]]
"""A group's next meetings: when, and one line in a language about where; soonest first."""

MOST_DATES = 3
LONGEST_LINE = 998
"""Octets (RFC 5322 2.1.1); up to there no header is folded, which Python 3.11.7 does wrongly."""

newcomers = Blueprint("newcomers", __name__)


@newcomers.get("/new-colleagues")
def index() -> str:
    return render_template("newcomers/index.html", entries=_entries(), code=str(get_locale()))


@newcomers.get("/new-colleagues/sheet")
def sheet() -> str:
    """Show one sheet for everybody's packet, in both languages at once."""
    words = {}
    for code in languages.NAMES:
        with force_locale(code):
            words[code] = Markup(render_template("newcomers/words.html"))  # noqa: S704 - escaped
    return render_template(
        "newcomers/sheet.html",
        entries=_entries(),
        words=words,
        home=code_of(parts().settings.base_url),
    )


@newcomers.get("/new-colleagues/mail")
def mail() -> str:
    return render_template("newcomers/mail.html", draft=_draft())


@newcomers.get("/new-colleagues/mail.eml")
def draft() -> Response:
    """Give the mail as a draft (X-Unsent): whoever opens it sends it, from their own mailbox.

    Nothing in it was typed by a stranger, so that the standard library may write it.
    """
    draft = _draft()
    mail = EmailMessage(policy=policy.SMTP.clone(max_line_length=LONGEST_LINE))
    mail["Subject"], mail["X-Unsent"] = draft.subject, "1"
    mail.set_content(draft.text)
    mail.add_alternative(draft.html, subtype="html")
    disposition = {"Content-Disposition": "attachment; filename=new-colleague.eml"}
    return Response(bytes(mail), headers=disposition, content_type="message/rfc822")


@newcomers.get("/groups/<slug>/poster")
def poster(slug: str) -> str:
    """Show a page for the wall; `belong.next_dates` among the app's extensions gives its dates."""
    language = str(get_locale())
    next_dates = cast("NextDates | None", current_app.extensions.get("belong.next_dates"))
    with transaction() as session:
        group = groups.find(session, slug) or abort(404)
        entry = service.entry(group, parts().links)
        dates = next_dates(session, group, language)[:MOST_DATES] if next_dates else []
    return render_template(
        "newcomers/poster.html", entry=entry, group=entry.said[language], dates=dates
    )


@newcomers.get("/g/<int(max=99999):number>")
def short(number: int) -> ResponseReturnValue:
    """Lead from the short address on paper to the group's page; numbers are never given again."""
    with transaction() as session:
        group = groups.numbered(session, number) or abort(404)
        return redirect(url_for("directory.group", slug=group.slug))


def _entries() -> list[service.Entry]:
    with transaction() as session:
        return service.entries(session, parts().links)


def _draft() -> Rendered:
    language = str(get_locale())
    return parts().renderer.render(
        "new-colleague",
        language,
        entries=[(each.said[language], each.url) for each in _entries()],
        page_url=parts().links.page("newcomers.index", language),
    )
