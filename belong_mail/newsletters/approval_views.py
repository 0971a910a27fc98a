"""A second leader's yes: the page where it is given, and the one where a group asks for it."""

from functools import partial

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.accounts.session import signed_in
from belong_mail.groups.presenters import group_view
from belong_mail.newsletters import approval, asking, progress
from belong_mail.newsletters import preview as issue_preview
from belong_mail.newsletters import release as issue_release
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.forms import EmptyForm
from belong_mail.newsletters.models import Image, Newsletter
from belong_mail.web.access import for_leads, for_second_lead, fresh_proof
from belong_mail.web.context import transaction

approvals = Blueprint("approvals", __name__, url_prefix="/lead")


@approvals.route("/newsletters/<public_id>/approve", methods=["GET", "POST"])
@for_second_lead
@fresh_proof
def approve(public_id: str) -> ResponseReturnValue:
    """Show on GET what is asked for; on POST let it go out."""
    form = EmptyForm()
    with transaction() as session:
        issue = newsletters.find_issue_for_lead(session, signed_in(), public_id)
        if form.validate_on_submit():
            asking.approve(session, issue, signed_in(), request.form.get("seen", ""))
            return redirect(url_for("releases.sending", public_id=public_id), 303)
        return _page(session, issue, form)


@approvals.post("/newsletters/<public_id>/decline")
@for_leads
def decline(public_id: str) -> ResponseReturnValue:
    with transaction() as session:
        asking.decline(session, newsletters.find_issue_for_lead(session, signed_in(), public_id))
    return redirect(url_for("editor.write", public_id=public_id), 303)


@approvals.route("/groups/<slug>/second-ok", methods=["GET", "POST"])
@for_leads
def setting(slug: str) -> ResponseReturnValue:
    """Say whether a group's newsletters need a second leader's yes; a lead may turn it on."""
    form = EmptyForm()
    with transaction() as session:
        group = accounts.group_for_lead(session, signed_in(), slug)
        if form.validate_on_submit():
            asking.turn_on(session, group)
            return redirect(url_for(".setting", slug=slug, saved=1), 303)
        shown = {
            "group": group_view(group, str(get_locale())),
            "is_wanted": approval.is_wanted(session, group),
            "has_two": len(accounts.leads_of(session, group)) >= approval.TWO,
        }
    return render_template("approvals/setting.html", form=form, **shown)


def _page(session: Session, issue: Newsletter, form: EmptyForm) -> str:
    found, is_open = issue.approval, approval.is_open(session, issue)
    return render_template(
        "approvals/approve.html",
        issue=issue,
        group=group_view(issue.group, str(get_locale())),
        form=form,
        found=found,
        is_open=is_open,
        is_mine=found is not None and found.asked_by == signed_in().id,
        state=issue_release.issue_status(session, issue).state,
        expires_at=found.asked_at + approval.REQUEST_AGE if found else None,
        seen=found.digest.hex() if found else "",
        recipients=progress.recipients(issue),
        members=issue.group.members_shown,
        versions=issue_preview.versions(issue, partial(_image_url, issue.public_id)),
    )


def _image_url(public_id: str, image: Image) -> str:
    return url_for("pictures.show", public_id=public_id, picture_id=image.public_id)
