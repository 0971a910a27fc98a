"""Who did what: the audit trail, to read and to take away."""

from collections.abc import Iterable, Iterator, Mapping

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from belong_mail.accounts.session import signed_in
from belong_mail.core.audit import AuditEntry, Role
from belong_mail.core.site_settings import name_as_shown
from belong_mail.core.spreadsheets import as_csv
from belong_mail.office import trail
from belong_mail.office.forms import TrailForm, kind_in_words
from belong_mail.web.access import for_office
from belong_mail.web.context import services, transaction

office_trail = Blueprint("office_trail", __name__, url_prefix="/office")


@office_trail.get("/audit")
@for_office
def listed() -> ResponseReturnValue:
    with transaction() as session:
        accounts = _accounts(session)
        form = _form(session, accounts)
        before, zone = request.args.get("before", type=int), services().settings.timezone
        found = trail.find(session, signed_in(), form.wanted(), zone, before)
        page = render_template(
            "office/trail.html",
            form=form,
            found=found,
            before=before,
            readable=trail.readable(session, found.entries),
            groups=dict(form.group.choices),
            accounts=accounts,
            who=_who,
            reference=trail.reference,
            in_words=kind_in_words,
        )
    return page, 422 if form.errors else 200


@office_trail.get("/audit.csv")
@for_office
def file() -> Response:
    """Return what is looked for as a file for a spreadsheet."""
    with transaction() as session:
        accounts, zone = _accounts(session), services().settings.timezone
        form = _form(session, accounts)
        found = trail.find_all(session, signed_in(), form.wanted(), zone)
        content = as_csv(_rows(found, dict(form.group.choices), accounts))
    answer = Response(content, mimetype="text/csv")
    answer.headers["Content-Disposition"] = 'attachment; filename="who-did-what.csv"'
    return answer


def _accounts(session: Session) -> dict[str, str]:
    """Call each account as the office does, or by its reference."""
    named = trail.accounts_in(session, signed_in())
    return {
        public_id: name or _("Account %(reference)s", reference=trail.reference(public_id))
        for public_id, name in named.items()
    }


def _form(session: Session, accounts: Mapping[str, str]) -> TrailForm:
    form = TrailForm(request.args)
    groups = trail.groups_in(session, signed_in())
    form.offer(groups, accounts)
    return form


def _who(entry: AuditEntry, accounts: Mapping[str, str]) -> str:
    if entry.actor:
        return accounts.get(entry.actor, trail.reference(entry.actor))
    said = {
        Role.OPERATOR: _("An operator, on the server"),
        Role.WORKER: _("The system"),
        Role.NOBODY: _("Someone who wasn’t signed in"),
    }
    return said.get(Role(entry.role), entry.role)


def _rows(
    entries: Iterable[AuditEntry], groups: Mapping[str, str], accounts: Mapping[str, str]
) -> Iterator[list[str]]:
    yield [
        _("Time"), _("What was done"), _("Who"), _("Session"), _("Group"), _("Newsletter"),
        _("To whom"), _("About"),
    ]  # fmt: skip
    zone = services().settings.timezone
    for each in entries:
        yield [
            each.at.astimezone(zone).isoformat(sep=" ", timespec="seconds"),
            kind_in_words(each.kind),
            _who(each, accounts),
            trail.reference(each.browser_session),
            groups.get(each.group_slug or "", each.group_slug or "") if each.group_slug else "",
            each.newsletter or "",
            accounts.get(each.account or "", ""),
            name_as_shown(each.detail or ""),
        ]
