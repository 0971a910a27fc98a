"""Where a lead takes away what their group has published.

The address names the group by its opaque id: browsers write it into the file that they save.
"""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from belong_mail.accounts.session import signed_in
from belong_mail.groups.presenters import group_view
from belong_mail.leads import downloads
from belong_mail.leads import export as group_export
from belong_mail.web.access import for_leads, fresh_proof
from belong_mail.web.context import transaction

exports = Blueprint("exports", __name__, url_prefix="/lead/exports")


@exports.route("/<group_id>", methods=["GET", "POST"])
@for_leads
@fresh_proof
def export(group_id: str) -> ResponseReturnValue:
    """Say on GET what the file holds; on POST record who takes it, and give it."""
    with transaction() as session:
        group = group_export.find_for_lead(session, signed_in(), group_id)
        if request.method != "POST":
            shown = group_view(group, str(get_locale()))
            issues = group_export.count_issues(session, group)
            return render_template("exports/ask.html", group=shown, issues=issues)
        if not downloads.may_download(session, signed_in()):
            return redirect(url_for(".export", group_id=group_id, later=1), 303)
        group_export.record(session, group)
    return downloads.download(group.id)
