"""The page where a lead attaches flyers (PDF) to a draft."""

from flask import Blueprint, Response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy.orm import Session

from belong_mail.accounts.session import signed_in
from belong_mail.groups.presenters import group_view
from belong_mail.newsletters import flyers as issue_flyers
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.downloads import download
from belong_mail.newsletters.forms import MAX_BODY, FlyerForm
from belong_mail.newsletters.models import Newsletter
from belong_mail.web.access import for_leads
from belong_mail.web.context import allow_uploads, transaction

flyers = Blueprint("flyers", __name__, url_prefix="/lead/newsletters/<public_id>/flyers")


allow_uploads(flyers, MAX_BODY)


@flyers.route("", methods=["GET", "POST"])
@for_leads
def add(public_id: str) -> ResponseReturnValue:
    form = FlyerForm()
    is_right = form.validate_on_submit()  # before a transaction: reading a file takes a while
    with transaction(unrecorded=newsletters.UNRECORDED_DRAFT) as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        if not newsletters.is_draft(issue):
            return redirect(url_for("releases.sending", public_id=public_id), 303)
        if is_right and _is_added(session, issue, form):
            return redirect(url_for(".add", public_id=public_id, added=1), 303)
        page = render_template(
            "flyers/add.html",
            issue=issue,
            group=group_view(issue.group, str(get_locale())),
            form=form,
            is_full=issue_flyers.is_full(session, issue),
        )
    return page, 422 if form.is_submitted() else 200


@flyers.get("/<flyer_id>")
@for_leads
def show(public_id: str, flyer_id: str) -> Response:
    """Give a lead a flyer as it is mailed, to be opened elsewhere."""
    with transaction() as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        return download(issue_flyers.find_flyer(session, issue, flyer_id))


@flyers.post("/<flyer_id>/remove")
@for_leads
def remove(public_id: str, flyer_id: str) -> ResponseReturnValue:
    with transaction(unrecorded=newsletters.UNRECORDED_DRAFT) as session:
        issue = newsletters.find_for_lead(session, signed_in(), public_id)
        issue_flyers.remove_flyer(session, issue, flyer_id)
    return redirect(url_for(".add", public_id=public_id, removed=1), 303)


def _is_added(session: Session, issue: Newsletter, form: FlyerForm) -> bool:
    """Attach the flyer of a form that is right, unless it is not fit for this issue."""
    is_fit = form.is_fit_for(issue.group, issue_flyers.room(session, issue))
    if not is_fit or form.clean is None or issue_flyers.is_full(session, issue):
        return False
    issue_flyers.add_flyer(session, issue, form.title.data or "", form.clean)
    return True
