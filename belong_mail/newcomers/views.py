"""For new colleagues and whoever welcomes them: pages, paper, and a mail that others send."""

from email import policy
from email.message import EmailMessage

from flask import Blueprint, Response, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, get_locale
from flask_babel import gettext as _
from markupsafe import Markup

from belong_mail import languages
from belong_mail.current import parts, transaction
from belong_mail.db import now
from belong_mail.groups import service as groups
from belong_mail.meetings import service as meetings
from belong_mail.meetings.words import shown
from belong_mail.newcomers import service
from belong_mail.newcomers.encoding import code_of
from belong_mail.outbox.rendering import Rendered

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
    words, soon = {}, {}
    for code in languages.NAMES:
        with force_locale(code):
            words[code] = Markup(render_template("newcomers/words.html"))  # noqa: S704 - escaped
            soon[code] = _("Starts this year")
    return render_template(
        "newcomers/sheet.html",
        entries=_entries(),
        words=words,
        soon=soon,
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
    """Show a page for the wall, with the group's next dates."""
    language = str(get_locale())
    zone = parts().settings.timezone
    with transaction() as session:
        group = groups.find(session, slug) or abort(404)
        entry = service.entry(group, parts().links)
        dates = [
            shown(each, language)
            for each in meetings.next_held(session, zone, now(), MOST_DATES, group)
        ]
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
