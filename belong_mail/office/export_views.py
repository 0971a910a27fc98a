"""Where the office takes away what a group has published, also of one that has ended."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from belong_mail.accounts.session import signed_in
from belong_mail.groups.presenters import group_view
from belong_mail.leads import downloads
from belong_mail.leads import export as group_export
from belong_mail.office import service
from belong_mail.web.access import for_office, fresh_proof
from belong_mail.web.context import transaction

office_exports = Blueprint("office_exports", __name__, url_prefix="/office/exports")


@office_exports.route("/<group_id>", methods=["GET", "POST"])
@for_office
@fresh_proof
def export(group_id: str) -> ResponseReturnValue:
    """Say on GET what the file holds; on POST record who takes it, and give it."""
    with transaction() as session:
        group = service.find_group_of_any_age(session, signed_in(), group_id)
        if request.method != "POST":
            shown = group_view(group, str(get_locale()))
            issues = group_export.count_issues(session, group)
            return render_template("office/export.html", group=shown, issues=issues)
        if not downloads.may_download(session, signed_in()):
            return redirect(url_for(".export", group_id=group_id, later=1), 303)
        group_export.record(session, group)
    return downloads.download(group.id)
