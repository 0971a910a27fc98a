"""Writing an issue: for the leads of its group alone."""

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.accounts.session import signed_in
from belong_mail.current import parts, transaction
from belong_mail.db import now
from belong_mail.groups.cards import card
from belong_mail.meetings import service as meetings
from belong_mail.meetings import words
from belong_mail.newsletters import service
from belong_mail.newsletters.models import Newsletter
from belong_mail.writing import previews
from belong_mail.writing.forms import WriteForm

writing = Blueprint("writing", __name__, url_prefix="/lead")

NEXT = 4
"""Meetings that a press of a button puts into an issue."""


@writing.post("/groups/<slug>/newsletters")
def begin(slug: str) -> ResponseReturnValue:
    """Begin a draft; it belongs to the group."""
    with transaction() as session:
        group = accounts.led_group(session, signed_in(), slug)
        if not group.is_open:
            abort(404)
        issue = service.begin(session, group)
    return redirect(url_for(".write", public_id=issue.public_id), 303)


@writing.route("/newsletters/<public_id>", methods=["GET", "POST"])
def write(public_id: str) -> ResponseReturnValue:
    with transaction() as session:
        issue = service.find_led(session, signed_in(), public_id)
        if not service.is_draft(issue):
            return redirect(url_for("releases.sending", public_id=public_id), 303)
        form = WriteForm(obj=issue)
        is_stale = form.is_submitted() and form.seen.data != service.version(issue)
        if form.validate_on_submit() and not is_stale:
            _keep(issue, form)
            if "meetings" in request.form:
                added = _next_meetings(session, issue)
                service.rewrite(issue, **_at_the_end(issue, added))
            return redirect(_next(public_id), 303)
        page = _page(session, issue, form, is_stale=is_stale)
    return page, 409 if is_stale else 422 if form.errors else 200


@writing.post("/newsletters/<public_id>/save")
def save(public_id: str) -> ResponseReturnValue:
    """Save for the page's script while somebody types."""
    with transaction() as session:
        issue = service.find_led(session, signed_in(), public_id)
        form = WriteForm()
        if not service.is_draft(issue) or form.seen.data != service.version(issue):
            abort(409)
        if not form.validate_on_submit():
            return {"problem": form.problem()}, 422
        _keep(issue, form)
    return {"seen": service.version(issue)}


@writing.post("/newsletters/<public_id>/preview")
def preview(public_id: str) -> Response:
    """Show the mail as it would go out now; nothing is stored."""
    with transaction() as session:
        issue = service.find_led(session, signed_in(), public_id)
        form = WriteForm()
        seen = previews.Words(
            subject=form.subject.data or "",
            text=form.text.data or "",
            subject_es=form.subject_es.data or "",
            text_es=form.text_es.data or "",
        )
        shown = previews.show(parts(), issue, seen, request.args.get("as", ""))
    answer = Response(shown.content, mimetype=shown.media_type)
    answer.headers["Content-Security-Policy"] = previews.POLICY
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    return answer


@writing.route("/newsletters/<public_id>/delete", methods=["GET", "POST"])
def delete(public_id: str) -> ResponseReturnValue:
    """Ask on GET; on POST throw a draft away."""
    with transaction() as session:
        issue = service.find_led(session, signed_in(), public_id)
        if not service.is_draft(issue):
            abort(404)
        if request.method == "POST":
            session.delete(issue)
            return redirect(url_for("lead.home"), 303)
        return render_template("writing/delete.html", issue=issue)


def _next(public_id: str) -> str:
    """Go where the button said after the words were saved."""
    if "release" in request.form:
        return url_for("releases.release", public_id=public_id)
    if "pictures" in request.form:
        return url_for("pictures.add", public_id=public_id)
    return url_for(".write", public_id=public_id, saved=1)


def _keep(issue: Newsletter, form: WriteForm) -> None:
    service.rewrite(
        issue,
        subject=form.subject.data or "",
        text=form.text.data or "",
        subject_es=form.subject_es.data or "",
        text_es=form.text_es.data or "",
    )
    form.seen.data = service.version(issue)


def _next_meetings(session: Session, issue: Newsletter) -> dict[str, str]:
    """Write the group's next meetings in words, for each text of an issue; nothing for none."""
    found = meetings.next_held(session, parts().settings.timezone, now(), NEXT, issue.group)
    texts = {"text": "en", "text_es": "es"} if found else {}
    return {text: words.markdown(found, language) for text, language in texts.items()}


def _at_the_end(issue: Newsletter, added: dict[str, str]) -> dict[str, str]:
    """Add words to an issue's texts, in each language that it is written in."""
    old = {text: getattr(issue, text) for text in added}
    return {text: f"{old[text]}\n\n{added[text]}" for text in added if text == "text" or old[text]}


def _page(session: Session, issue: Newsletter, form: WriteForm, *, is_stale: bool) -> str:
    form.seen.data = form.seen.data or service.version(issue)
    shown = card(issue.group, str(get_locale()))
    return render_template(
        "writing/write.html",
        issue=issue,
        group=shown,
        form=form,
        is_stale=is_stale,
        meetings=_next_meetings(session, issue),
    )
