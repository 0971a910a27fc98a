"""Who did what: the audit trail, to read."""

from collections.abc import Mapping, Sequence

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from belong_mail.accounts.session import signed_in
from belong_mail.core.audit import AuditEntry, Role
from belong_mail.office import trail
from belong_mail.office.forms import TrailForm, kind_in_words
from belong_mail.web.access import for_office
from belong_mail.web.context import services, transaction

office_trail = Blueprint("office_trail", __name__, url_prefix="/office")


@office_trail.get("/audit")
@for_office
def listed() -> ResponseReturnValue:
    with transaction() as session:
        form = TrailForm(request.args)
        form.offer(trail.groups_in(session, signed_in()))
        before, zone = request.args.get("before", type=int), services().settings.timezone
        found = trail.find(session, signed_in(), form.wanted(), zone, before)
        page = render_template(
            "office/trail.html",
            form=form,
            found=found,
            before=before,
            readable=trail.readable(session, found.entries),
            groups=dict(form.group.choices),
            accounts=_accounts(session, found.entries),
            who=_who,
            reference=trail.reference,
            in_words=kind_in_words,
        )
    return page, 422 if form.errors else 200


def _accounts(session: Session, entries: Sequence[AuditEntry]) -> dict[str, str]:
    """Call each account as the office does, or by its reference."""
    named = trail.accounts_in(session, entries)
    return {
        public_id: name or _("Account %(reference)s", reference=trail.reference(public_id))
        for public_id, name in named.items()
    }


def _who(entry: AuditEntry, accounts: Mapping[str, str]) -> str:
    if entry.actor:
        return accounts.get(entry.actor, trail.reference(entry.actor))
    said = {
        Role.OPERATOR: _("An operator, on the server"),
        Role.WORKER: _("The system"),
        Role.NOBODY: _("Someone who wasn’t signed in"),
    }
    return said.get(Role(entry.role), entry.role)
