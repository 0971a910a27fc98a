"""The pages where a lead adds pictures and flyers (PDF) to a draft: one view for both."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from belong_mail.accounts.session import signed_in
from belong_mail.groups.presenters import group_view
from belong_mail.newsletters import files
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.forms import MAX_BODY, FlyerForm, ImageForm
from belong_mail.newsletters.models import Flyer, Image, Newsletter
from belong_mail.web.access import for_leads
from belong_mail.web.context import allow_uploads, transaction
from belong_mail.web.language import gettext as _
from belong_mail.web.language import request_language

pictures = Blueprint("pictures", __name__, url_prefix="/lead/newsletters/<public_id>/pictures")
flyers = Blueprint("flyers", __name__, url_prefix="/lead/newsletters/<public_id>/flyers")


for each in (pictures, flyers):
    allow_uploads(each, MAX_BODY)


@pictures.route("", methods=["GET", "POST"])
@flyers.route("", methods=["GET", "POST"])
@for_leads
def add(public_id: str) -> ResponseReturnValue:
    form = ImageForm() if request.blueprint == pictures.name else FlyerForm()
    is_right = form.is_sent()  # before a transaction: reading a file takes a while
    with transaction(unrecorded=newsletters.UNRECORDED_DRAFT) as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        if not newsletters.is_draft(issue):
            return redirect(url_for("releases.sending", public_id=public_id), 303)
        is_full = files.is_full(session, issue, form.kind)
        file = _added(session, issue, form) if is_right and not is_full else None
        if request.accept_mimetypes.best == "application/json":
            return _said(form, file)
        if file:
            return redirect(url_for(".add", public_id=public_id, added=1), 303)
        group = group_view(issue.group, request_language())
        page = render_template(
            f"{request.blueprint}/add.html", issue=issue, group=group, form=form, is_full=is_full
        )
    return page, 422 if form.is_submitted() else 200


@pictures.get("/<picture_id>")
@flyers.get("/<flyer_id>")
@for_leads
def show(public_id: str, picture_id: str = "", flyer_id: str = "") -> ResponseReturnValue:
    """Show a lead a picture of a draft, or give them a flyer; emails carry their own."""
    with transaction() as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        return files.shown(files.find(issue, picture_id, flyer_id))


@pictures.post("/<picture_id>/remove")
@flyers.post("/<flyer_id>/remove")
@for_leads
def remove(public_id: str, picture_id: str = "", flyer_id: str = "") -> ResponseReturnValue:
    with transaction(unrecorded=newsletters.UNRECORDED_DRAFT) as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        files.remove(session, issue, files.find(issue, picture_id, flyer_id))
    return redirect(url_for(".add", public_id=public_id, removed=1), 303)


def _added(
    session: Session, issue: Newsletter, form: ImageForm | FlyerForm
) -> Image | Flyer | None:
    if isinstance(form, ImageForm) and form.encoded is not None:
        return files.add_image(session, issue, form.description.data or "", form.encoded)
    if isinstance(form, FlyerForm) and form.is_fit_for(issue.group, files.room(session, issue)):
        assert form.clean is not None  # noqa: S101 - it is fit
        return files.add_flyer(session, issue, form.title.data or "", form.clean)
    return None


def _said(form: ImageForm | FlyerForm, file: Image | Flyer | None) -> ResponseReturnValue:
    """Tell the editor's script how a text shows a picture, still to be described; or why not."""
    if file is not None:
        return {"source": f"![](picture:{file.public_id})"}
    full = _("A newsletter can have up to 10 pictures. Remove one to add another.")
    return {"problem": next((str(said[0]) for said in form.errors.values()), full)}, 422
