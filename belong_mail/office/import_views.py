"""The office's page that moves a list of addresses in: check a file, start, see how far it is."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy.orm import Session

from belong_mail.accounts.session import signed_in
from belong_mail.core import i18n
from belong_mail.core.db import required
from belong_mail.groups.models import Group
from belong_mail.groups.presenters import group_view
from belong_mail.members import imports
from belong_mail.members.imports import announcement
from belong_mail.newsletters.service import InvalidState
from belong_mail.office import service
from belong_mail.office.forms import MAX_BODY, ImportForm
from belong_mail.web.access import for_office, fresh_proof
from belong_mail.web.context import allow_uploads, services, transaction

# Why the audit trail says nothing of a file that is only checked.
CHECKED = "Nobody is asked before it is started."
office_imports = Blueprint("office_imports", __name__, url_prefix="/office/groups/<slug>/import")
allow_uploads(office_imports, MAX_BODY)


@office_imports.route("", methods=["GET", "POST"])
@for_office
def add(slug: str) -> ResponseReturnValue:
    """Check a file on POST, and store its addresses, sealed, until it is started."""
    form = ImportForm()
    is_right = form.validate_on_submit()  # before a transaction: reading a file takes a while
    with transaction(unrecorded=CHECKED) as session:
        group = service.find_group(session, signed_in(), slug)
        if is_right and form.found is not None:
            language = form.language.data or i18n.DEFAULT
            try:
                imports.replace(session, services().sealer, group, form.found, language)
            except (imports.NotOpen, imports.AlreadyWaiting) as error:
                raise InvalidState from error
            return redirect(url_for(".add", slug=slug, checked=1), 303)
        page = _page(session, group, form)
    return page, 422 if form.errors else 200


@office_imports.post("/start")
@for_office
@fresh_proof
def start(slug: str) -> ResponseReturnValue:
    with transaction() as session:
        group = service.find_group(session, signed_in(), slug)
        seen = required(_seen(session, group), InvalidState)
        try:
            imports.start(session, seen)
        except imports.NotOpen as error:
            raise InvalidState from error
    return redirect(url_for(".add", slug=slug, started=1), 303)


@office_imports.post("/discard")
@for_office
def discard(slug: str) -> ResponseReturnValue:
    """Ask nobody more: what is left of the file is deleted."""
    with transaction() as session:
        group = service.find_group(session, signed_in(), slug)
        seen = _seen(session, group)
        if seen is not None:
            imports.discard(session, seen)
    return redirect(url_for(".add", slug=slug, discarded=1), 303)


def _seen(session: Session, group: Group) -> imports.Import | None:
    """Return the newest file, which must be the one that the page was about."""
    latest = imports.latest(session, group)
    if latest is not None and latest.public_id != request.form.get("seen"):
        raise InvalidState
    return latest


def _page(session: Session, group: Group, form: ImportForm) -> str:
    latest = imports.latest(session, group)
    sender = f"belong@{services().settings.mail_domain}"
    return render_template(
        "office/import.html",
        group=group_view(group, str(get_locale())),
        is_open=group.is_open,
        form=form,
        latest=latest,
        report=latest and latest.found,
        progress=latest and imports.progress(session, latest),
        texts={code: announcement(group, services().links, sender, code) for code in i18n.NAMES},
    )
