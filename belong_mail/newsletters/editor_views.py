"""The pages of the editor: write, check, preview, add pictures and flyers (PDF)."""

from flask import Blueprint, Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from belong_mail.accounts import service as accounts
from belong_mail.accounts.session import signed_in
from belong_mail.core.db import now
from belong_mail.core.i18n import DEFAULT, LocalizedText
from belong_mail.groups.models import Group
from belong_mail.groups.pages import group_page
from belong_mail.newsletters import approval, archive, files, rendering
from belong_mail.newsletters import preview as issue_preview
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.forms import MAX_BODY, FlyerForm, ImageForm, SearchForm, WriteForm
from belong_mail.newsletters.models import Flyer, Image, Newsletter
from belong_mail.newsletters.service import InvalidState
from belong_mail.web.access import for_leads, for_leads_with_file
from belong_mail.web.context import allow_uploads, services, services_as_set, transaction
from belong_mail.web.language import gettext as _
from belong_mail.web.localized_fields import Differences
from belong_mail.web.page import Page, unrecorded

editor = Blueprint("editor", __name__, url_prefix="/lead")
pictures = Blueprint("pictures", __name__, url_prefix="/lead/newsletters/<public_id>/pictures")
flyers = Blueprint("flyers", __name__, url_prefix="/lead/newsletters/<public_id>/flyers")
for each in (pictures, flyers):
    allow_uploads(each, MAX_BODY)


@editor.post("/groups/<slug>/newsletters")
@for_leads(slug=accounts.group_for_lead)
@unrecorded(newsletters.UNRECORDED_DRAFT)
def begin(session: Session, group: Group) -> ResponseReturnValue:
    """Begin a draft, which belongs to the group."""
    if not group.has_newsletters:
        abort(404)
    issue = archive.start(session, group, with_template="template" in request.form)
    return redirect(url_for(".write", public_id=issue.public_id), 303)


@editor.get("/groups/<slug>/newsletters")
@for_leads(slug=accounts.group_for_lead)
def past(session: Session, group: Group) -> Page:
    """List a group's sent issues, searched by words."""
    form, number = SearchForm(request.args), request.args.get("page", 1, type=int)
    words = form.words.data if form.validate() else ""
    found = archive.find_past(session, group, words or "", number)
    return group_page("editor/past.html", group, form=form, found=found)


@editor.post("/newsletters/<public_id>/duplicate")
@for_leads(public_id=newsletters.find_for_lead)
@unrecorded(newsletters.UNRECORDED_DRAFT)
def duplicate(session: Session, issue: Newsletter) -> ResponseReturnValue:
    """Begin a draft with an issue's words and pictures."""
    if not issue.group.has_newsletters:
        abort(404)
    draft = archive.duplicate(session, issue)
    return redirect(url_for(".write", public_id=draft.public_id, done="copied"), 303)


@editor.route("/newsletters/<public_id>", methods=["GET", "POST"])
@for_leads(public_id=newsletters.find_for_lead)
@unrecorded(newsletters.UNRECORDED_DRAFT)
def write(session: Session, issue: Newsletter) -> ResponseReturnValue:
    if not newsletters.is_draft(issue):
        if request.method == "POST":
            raise InvalidState
        return redirect(url_for("releases.sending", public_id=issue.public_id), 303)
    if "remove" in request.form:  # whatever is wrong with the words
        files.remove(issue, request.form["remove"])
    stored = {name: getattr(issue, name) for name in WriteForm.field_names}
    form = WriteForm(data=WriteForm.flat(**stored))
    is_stale = _is_stale(issue, form)
    if form.validate_on_submit() and not is_stale:
        _keep(session, issue, form)
        _act_on(session, issue)
        return redirect(_next(issue.public_id), 303)
    newer = form.differing(stored) if is_stale else None
    return _page(session, issue, form, newer)


@editor.post("/newsletters/<public_id>/save")
@for_leads(public_id=newsletters.find_for_lead)
@unrecorded(newsletters.UNRECORDED_DRAFT)
def save(session: Session, issue: Newsletter) -> ResponseReturnValue:
    """Save what the page's script sends while someone types."""
    if not newsletters.is_draft(issue):
        abort(404)
    form = WriteForm()
    if _is_stale(issue, form):
        abort(409)
    if not form.validate_on_submit():
        return {"problem": _("Not saved: %(problem)s", problem=form.problem())}, 422
    _keep(session, issue, form)
    return {"seen": newsletters.version(issue)}


@editor.route("/newsletters/<public_id>/preview", methods=["GET", "POST"])
@for_leads(public_id=newsletters.find_for_lead)
def preview(session: Session, issue: Newsletter) -> Response:
    """Show the email as it would be sent now, with stored or with typed words; store nothing."""
    seen, form = rendering.IssueText.from_issue(issue), WriteForm()
    if form.is_submitted():
        typed = form.typed
        seen = rendering.IssueText(typed("subject"), typed("text"), typed("preheader"))
    kind = request.args.get("as", "")
    shown, media = issue_preview.preview_page(services_as_set(session), issue, seen, kind)
    answer = Response(shown, mimetype=media)
    answer.headers["Content-Security-Policy"] = issue_preview.POLICY
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    return answer


@editor.post("/newsletters/<public_id>/delete")
@for_leads(public_id=newsletters.find_for_lead)
def delete(session: Session, issue: Newsletter) -> ResponseReturnValue:
    if not newsletters.is_draft(issue):
        abort(404)
    newsletters.delete_draft(session, issue)
    return redirect(url_for("lead.home", done="deleted"), 303)


def _next(public_id: str) -> str:
    """Return the URL to which the pressed button leads after saving."""
    if "release" in request.form:
        return url_for("releases.release", public_id=public_id)
    if "pictures" in request.form:
        return url_for("pictures.add", public_id=public_id)
    if "flyers" in request.form:
        return url_for("flyers.add", public_id=public_id)
    done = "template" if "template" in request.form else "saved"
    return url_for(".write", public_id=public_id, done=done)


def _is_stale(issue: Newsletter, form: WriteForm) -> bool:
    """Return whether other words would be overwritten: of an answer lost on its way, none are.

    The script sends all fields again for each text that it sent before without an answer.
    """
    is_older = form.is_stale(newsletters.version(issue))
    sent = zip(*request.form.listvalues(), strict=False)
    texts = (dict(zip(request.form, each, strict=True)) for each in sent)
    own = (WriteForm(MultiDict(each)).columns() for each in texts)
    return is_older and not any(newsletters.says(issue, **each) for each in own)


def _keep(session: Session, issue: Newsletter, form: WriteForm) -> None:
    newsletters.update_draft(issue, **form.columns())
    newsletters.note_writer(session, issue)


def _act_on(session: Session, issue: Newsletter) -> None:
    """Do what the button asks besides saving the draft."""
    if "meetings" in request.form:
        added = _next_meetings(session, issue)
        newsletters.update_draft(issue, text=_at_the_end(issue.text, added))
    if "template" in request.form and not issue.is_template:
        archive.save_as_template(session, issue)


def _next_meetings(session: Session, issue: Newsletter) -> LocalizedText:
    return archive.next_meetings(session, issue.group, services().settings.timezone, now())


def _at_the_end(text: LocalizedText, added: LocalizedText) -> LocalizedText:
    """Append words to a text, in the default language and in each that it is written in."""
    written = {DEFAULT: "", **text}
    return {
        code: f"{words}\n\n{added[code]}" if code in added else words
        for code, words in written.items()
    }


def _page(session: Session, issue: Newsletter, form: WriteForm, newer: Differences | None) -> Page:
    form.say_what_tells(issue.group)
    return group_page(
        "editor/write.html",
        issue.group,
        0 if newer is None else 409,
        issue=issue,
        form=form,
        newer=newer,
        is_asked=approval.is_open(issue),
        meetings=WriteForm.flat(text=_next_meetings(session, issue)),
    )


@pictures.route("", methods=["GET", "POST"])
@flyers.route("", methods=["GET", "POST"])
@for_leads_with_file
def add(public_id: str) -> ResponseReturnValue:
    form = ImageForm() if request.blueprint == pictures.name else FlyerForm()
    is_right = form.is_sent()  # outside a transaction: reading a file takes a while
    with transaction(unrecorded=newsletters.UNRECORDED_DRAFT) as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        if not newsletters.is_draft(issue):
            return redirect(url_for("releases.sending", public_id=public_id), 303)
        is_full = files.is_full(issue, form.kind)
        file = _added(session, issue, form) if is_right and not is_full else None
        if request.accept_mimetypes.best == "application/json":
            return _said(form, file)
        if file:
            return redirect(url_for("editor.write", public_id=public_id, done="added"), 303)
        status = 422 if form.is_submitted() else 200
        shown = {"issue": issue, "form": form, "is_full": is_full}
        return group_page("editor/attach.html", issue.group, status, **shown)


@pictures.get("/<picture_id>")
@flyers.get("/<flyer_id>")
@for_leads(public_id=newsletters.find_for_lead)
def show(_session: Session, issue: Newsletter, **named: str) -> ResponseReturnValue:
    """Return a picture or a flyer of a draft to a lead; emails carry their own."""
    return files.shown(files.find(issue, **named))


def _added(
    session: Session, issue: Newsletter, form: ImageForm | FlyerForm
) -> Image | Flyer | None:
    if isinstance(form, ImageForm) and form.encoded is not None:
        return files.add_image(session, issue, form.description.data or "", form.encoded)
    if isinstance(form, FlyerForm) and form.is_fit_for(issue.group, files.room(issue)):
        assert form.clean is not None  # noqa: S101 - it is fit
        return files.add_flyer(session, issue, form.title.data or "", form.clean)
    return None


def _said(form: ImageForm | FlyerForm, file: Image | Flyer | None) -> ResponseReturnValue:
    """Return JSON for the editor's script: a picture's Markdown, or the problem."""
    if file is not None:
        return {"source": f"![](picture:{file.public_id})"}
    full = _("A newsletter can have up to 10 pictures. Remove one to add another.")
    return {"problem": next((str(said[0]) for said in form.errors.values()), full)}, 422
