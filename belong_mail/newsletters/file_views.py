"""The pages where a lead adds pictures and flyers (PDF) to a draft."""

from collections.abc import Callable

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from belong_mail.accounts.session import signed_in
from belong_mail.groups.presenters import group_view
from belong_mail.newsletters import files
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.downloads import download
from belong_mail.newsletters.forms import MAX_BODY, FlyerForm, ImageForm
from belong_mail.newsletters.models import Flyer, Image, Newsletter
from belong_mail.web.access import for_leads
from belong_mail.web.context import allow_uploads, transaction
from belong_mail.web.forms import BaseForm
from belong_mail.web.language import request_language

pictures = Blueprint("pictures", __name__, url_prefix="/lead/newsletters/<public_id>/pictures")
flyers = Blueprint("flyers", __name__, url_prefix="/lead/newsletters/<public_id>/flyers")


for each in (pictures, flyers):
    allow_uploads(each, MAX_BODY)


@pictures.route("", methods=["GET", "POST"], endpoint="add")
@for_leads
def add_picture(public_id: str) -> ResponseReturnValue:
    form = ImageForm()

    def is_added(session: Session, issue: Newsletter) -> bool:
        if form.encoded is not None:
            files.add_image(session, issue, form.description.data or "", form.encoded)
        return form.encoded is not None

    return _add(public_id, form, Image, is_added)


@flyers.route("", methods=["GET", "POST"], endpoint="add")
@for_leads
def add_flyer(public_id: str) -> ResponseReturnValue:
    form = FlyerForm()

    def is_added(session: Session, issue: Newsletter) -> bool:
        is_fit = form.is_fit_for(issue.group, files.room(session, issue))
        if is_fit and form.clean is not None:
            files.add_flyer(session, issue, form.title.data or "", form.clean)
        return is_fit and form.clean is not None

    return _add(public_id, form, Flyer, is_added)


@pictures.get("/<picture_id>", endpoint="show")
@for_leads
def show_picture(public_id: str, picture_id: str) -> Response:
    """Show a lead a picture of a draft; mails carry their own."""
    with transaction() as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        image = files.find(session, issue, Image, picture_id)
        return Response(image.content, mimetype=image.media_type)


@flyers.get("/<flyer_id>", endpoint="show")
@for_leads
def show_flyer(public_id: str, flyer_id: str) -> Response:
    """Give a lead a flyer as it is mailed, to be opened elsewhere."""
    with transaction() as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        return download(files.find(session, issue, Flyer, flyer_id))


@pictures.post("/<picture_id>/remove", endpoint="remove")
@for_leads
def remove_picture(public_id: str, picture_id: str) -> ResponseReturnValue:
    return _remove(public_id, Image, picture_id)


@flyers.post("/<flyer_id>/remove", endpoint="remove")
@for_leads
def remove_flyer(public_id: str, flyer_id: str) -> ResponseReturnValue:
    return _remove(public_id, Flyer, flyer_id)


def _add(
    public_id: str,
    form: BaseForm,
    kind: files.Kind,
    is_added: Callable[[Session, Newsletter], bool],
) -> ResponseReturnValue:
    is_right = form.is_sent()  # before a transaction: reading a file takes a while
    with transaction(unrecorded=newsletters.UNRECORDED_DRAFT) as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        if not newsletters.is_draft(issue):
            return redirect(url_for("releases.sending", public_id=public_id), 303)
        is_full = files.is_full(session, issue, kind)
        if is_right and not is_full and is_added(session, issue):
            return redirect(url_for(".add", public_id=public_id, added=1), 303)
        group = group_view(issue.group, request_language())
        page = render_template(
            f"{request.blueprint}/add.html", issue=issue, group=group, form=form, is_full=is_full
        )
    return page, 422 if form.is_submitted() else 200


def _remove(public_id: str, kind: type[files.File], file_id: str) -> ResponseReturnValue:
    with transaction(unrecorded=newsletters.UNRECORDED_DRAFT) as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        files.remove(session, issue, kind, file_id)
    return redirect(url_for(".add", public_id=public_id, removed=1), 303)
