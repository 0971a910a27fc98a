"""The pages of the editor: write, check, preview, add images."""

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.accounts.session import signed_in
from belong_mail.core.db import now
from belong_mail.core.i18n import DEFAULT, LocalizedText
from belong_mail.groups.presenters import group_view
from belong_mail.newsletters import archive, rendering
from belong_mail.newsletters import preview as issue_preview
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.forms import SearchForm, WriteForm
from belong_mail.newsletters.models import Newsletter
from belong_mail.web.access import for_leads
from belong_mail.web.context import services, services_as_set, transaction
from belong_mail.web.language import request_language

editor = Blueprint("editor", __name__, url_prefix="/lead")


@editor.post("/groups/<slug>/newsletters")
@for_leads
def begin(slug: str) -> ResponseReturnValue:
    """Begin a draft; it belongs to the group."""
    with transaction(unrecorded=newsletters.UNRECORDED_DRAFT) as session:
        group = accounts.group_for_lead(session, signed_in(), slug)
        if not group.has_newsletters:
            abort(404)
        kind, zone = request.form.get("start", ""), services().settings.timezone
        issue = archive.start(session, group, kind, zone, now())
    return redirect(url_for(".write", public_id=issue.public_id), 303)


@editor.get("/groups/<slug>/newsletters")
@for_leads
def past(slug: str) -> ResponseReturnValue:
    """List the issues of a group that have gone out, to read them again; by words."""
    with transaction() as session:
        group = accounts.group_for_lead(session, signed_in(), slug)
        form, number = SearchForm(request.args), request.args.get("page", 1, type=int)
        words = form.words.data if form.validate() else ""
        found = archive.find_past(session, group, words or "", number)
        shown = group_view(group, request_language())
        page = render_template("editor/past.html", group=shown, form=form, found=found)
    return page, 422 if form.errors else 200


@editor.post("/newsletters/<public_id>/duplicate")
@for_leads
def duplicate(public_id: str) -> ResponseReturnValue:
    """Begin a draft with the words and pictures of an issue."""
    with transaction(unrecorded=newsletters.UNRECORDED_DRAFT) as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        if not issue.group.has_newsletters:
            abort(404)
        draft = archive.duplicate(session, issue)
    return redirect(url_for(".write", public_id=draft.public_id, copied=1), 303)


@editor.route("/newsletters/<public_id>", methods=["GET", "POST"])
@for_leads
def write(public_id: str) -> ResponseReturnValue:
    with transaction(unrecorded=newsletters.UNRECORDED_DRAFT) as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        if not newsletters.is_draft(issue):
            return redirect(url_for("releases.sending", public_id=public_id), 303)
        stored = {name: getattr(issue, name) for name in WriteForm.field_names}
        form = WriteForm(data=WriteForm.flat(**stored))
        is_stale = form.is_submitted() and form.seen.data != newsletters.version(issue)
        if form.validate_on_submit() and not is_stale:
            _keep(session, issue, form)
            _act_on(session, issue)
            return redirect(_next(public_id), 303)
        page = _page(session, issue, form, is_stale=is_stale)
    return page, 409 if is_stale else 422 if form.errors else 200


@editor.post("/newsletters/<public_id>/save")
@for_leads
def save(public_id: str) -> ResponseReturnValue:
    """Save for the page's script while somebody types."""
    with transaction(unrecorded=newsletters.UNRECORDED_DRAFT) as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        form = WriteForm()
        if not newsletters.is_draft(issue) or form.seen.data != newsletters.version(issue):
            abort(409)
        if not form.validate_on_submit():
            return {"problem": form.problem()}, 422
        _keep(session, issue, form)
    return {"seen": newsletters.version(issue)}


@editor.post("/newsletters/<public_id>/preview")
@for_leads
def preview(public_id: str) -> Response:
    """Show the email as it would go out now; nothing is stored."""
    with transaction() as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        form = WriteForm()
        seen = rendering.IssueText(
            form.typed("subject"), form.typed("text"), form.typed("preheader")
        )
        kind = request.args.get("as", "")
        if kind == "inbox":
            lines = issue_preview.inbox_lines(services_as_set(session), issue, seen)
            answer = Response(render_template("editor/inbox.html", lines=lines))
        else:
            page, media = issue_preview.preview_page(services_as_set(session), issue, seen, kind)
            answer = Response(page, mimetype=media)
    answer.headers["Content-Security-Policy"] = issue_preview.POLICY
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    return answer


@editor.route("/newsletters/<public_id>/delete", methods=["GET", "POST"])
@for_leads
def delete(public_id: str) -> ResponseReturnValue:
    """Ask on GET; on POST throw a draft away."""
    with transaction() as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        if not newsletters.is_draft(issue):
            abort(404)
        if request.method == "POST":
            newsletters.delete_draft(session, issue)
            return redirect(url_for("lead.home"), 303)
        return render_template("editor/delete.html", issue=issue)


def _next(public_id: str) -> str:
    """Go where the button said after the words were saved."""
    if "release" in request.form:
        return url_for("releases.release", public_id=public_id)
    if "pictures" in request.form:
        return url_for("pictures.add", public_id=public_id)
    if "flyers" in request.form:
        return url_for("flyers.add", public_id=public_id)
    saved = "template" if "template" in request.form else 1
    return url_for(".write", public_id=public_id, saved=saved)


def _keep(session: Session, issue: Newsletter, form: WriteForm) -> None:
    newsletters.update_draft(issue, **{name: form.typed(name) for name in WriteForm.field_names})
    newsletters.note_writer(session, issue)
    form.seen.data = newsletters.version(issue)


def _act_on(session: Session, issue: Newsletter) -> None:
    """Do with a saved draft what the button said besides."""
    if "meetings" in request.form:
        added = _next_meetings(session, issue)
        newsletters.update_draft(issue, text=_at_the_end(issue.text, added))
    if "template" in request.form and not issue.is_template:
        archive.save_as_template(session, issue)


def _next_meetings(session: Session, issue: Newsletter) -> LocalizedText:
    return archive.next_meetings(session, issue.group, services().settings.timezone, now())


def _at_the_end(text: LocalizedText, added: LocalizedText) -> LocalizedText:
    """Add words to a text, in the default language and in each that it is written in."""
    written = {DEFAULT: "", **text}
    return {
        code: f"{words}\n\n{added[code]}" if code in added else words
        for code, words in written.items()
    }


def _page(session: Session, issue: Newsletter, form: WriteForm, *, is_stale: bool) -> str:
    form.seen.data = form.seen.data or newsletters.version(issue)
    form.say_what_tells(issue.group)
    shown = group_view(issue.group, request_language())
    return render_template(
        "editor/write.html",
        issue=issue,
        group=shown,
        form=form,
        is_stale=is_stale,
        template=archive.template_of(session, issue.group),
        meetings=WriteForm.flat(text=_next_meetings(session, issue)),
    )
