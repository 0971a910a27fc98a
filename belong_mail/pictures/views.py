"""The pictures of a draft: for the leads of its group alone."""

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from belong_mail.accounts.session import signed_in
from belong_mail.current import transaction
from belong_mail.groups.cards import card
from belong_mail.newsletters import service as newsletters
from belong_mail.pictures import service
from belong_mail.pictures.forms import AddForm

MAX_BODY = 16 * 1024 * 1024
"""Octets that are read at most, so that who chose too large a file hears so beside the field."""

pictures = Blueprint("pictures", __name__, url_prefix="/lead/newsletters/<public_id>/pictures")


@pictures.url_value_preprocessor
def allow_a_picture(endpoint: str | None, _values: object) -> None:
    """Allow a large body on this one page, before anything reads it."""
    if endpoint == "pictures.add":
        request.max_content_length = MAX_BODY


@pictures.route("", methods=["GET", "POST"])
def add(public_id: str) -> ResponseReturnValue:
    form = AddForm()
    is_right = form.validate_on_submit()
    with transaction() as session:
        issue = newsletters.find_led(session, signed_in(), public_id)
        if not newsletters.is_draft(issue):
            return redirect(url_for("releases.sending", public_id=public_id), 303)
        is_full = service.is_full(session, issue)
        if is_right and form.encoded and not is_full:
            service.add(session, issue, form.description.data or "", form.encoded)
            return redirect(url_for(".add", public_id=public_id, added=1), 303)
        group = card(issue.group, str(get_locale()))
        page = render_template(
            "pictures/add.html", issue=issue, group=group, form=form, is_full=is_full
        )
    return page, 422 if form.is_submitted() else 200


@pictures.get("/<picture_id>")
def show(public_id: str, picture_id: str) -> Response:
    """Show a lead a picture of a draft; mails carry their own."""
    with transaction() as session:
        issue = newsletters.find_led(session, signed_in(), public_id)
        image = service.find(session, issue, picture_id)
        return Response(image.content, mimetype=image.media_type)


@pictures.post("/<picture_id>/remove")
def remove(public_id: str, picture_id: str) -> ResponseReturnValue:
    with transaction() as session:
        issue = newsletters.find_led(session, signed_in(), public_id)
        service.remove(session, issue, picture_id)
    return redirect(url_for(".add", public_id=public_id, removed=1), 303)
