"""Pages to write a message, and to read and continue a thread by its code."""

from typing import Any

from flask import Blueprint, abort, redirect, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from belong_mail.contact import service, threads
from belong_mail.contact.forms import ContactForm, ReceiptForm
from belong_mail.contact.service import ContactData
from belong_mail.core import site_settings
from belong_mail.core.db import now
from belong_mail.core.district import HelpLines
from belong_mail.core.rate_limits import NO_WAIT
from belong_mail.groups.models import Group
from belong_mail.web.access import no_cookie, public
from belong_mail.web.context import read_transaction, services, throttle, transaction
from belong_mail.web.page import Page, page

contact = Blueprint("contact", __name__)


@contact.route("/contact", methods=["GET", "POST"])
@public
@no_cookie
def write() -> ResponseReturnValue:
    """Store a message; if the database fails, say so and keep the text on the page."""
    form = ContactForm()
    groups, help_lines = _groups_and_help_lines()
    form.offer(groups or [])
    is_lost = groups is None and form.is_submitted()
    if not is_lost and form.is_sent():
        try:
            return _thank(form)
        except DBAPIError:
            is_lost = True
    shown = {"form": form, "is_lost": is_lost, "help_lines": help_lines}
    return page("contact/write.html", 503 if is_lost else 0, **shown)


@contact.get("/contact/received/<reference>", defaults={"has_address": True})
@contact.get("/contact/received/<reference>/no-address", defaults={"has_address": False})
@public
def received(session: Session, reference: str, *, has_address: bool) -> Page:
    """Say what happens next; the URL says whether the writer gave an address."""
    message = service.find(session, reference) or abort(404)
    leads_of = message.group.name if message.group else ""
    shown = {"reference": reference, "leads_of": leads_of, "has_address": has_address}
    return page("contact/received.html", **shown)


@contact.route("/contact/answer", methods=["GET", "POST"])
@public
@no_cookie
def answer(session: Session) -> ResponseReturnValue:
    """Show a thread to the holder of its code, and add to it."""
    form = ReceiptForm()
    if form.is_turned and form.reference.data:
        return _show_code(form.reference.data, form.code.data or "", form)
    if not form.is_sent() and not (form.is_turned and form.is_open.data and form.validate()):
        return page("contact/answer.html", form=form)
    throttle(session, NO_WAIT)
    said = _read(session, form)
    if said is None:
        return page("contact/answer.html", 422, form=form)
    is_sent = bool(form.message.data) and not form.is_turned
    return page("contact/thread.html", 200, form=form, said=said, is_sent=is_sent)


def _read(session: Session, form: ReceiptForm) -> list[dict[str, Any]] | None:
    """Open a thread by the form's code and add the form's message; None if the code is unknown."""
    code = form.code.data or ""
    try:
        thread = threads.find_thread(session, code)
    except threads.ThreadNotFound:
        form.refuse()
        return None
    if form.message.data and not form.is_turned:
        topic, reference = service.FURTHER_MESSAGE, service.new_reference()
        written = ContactData(topic, form.message.data, thread=thread.reference)
        service.receive(session, services().sealer, reference, written, now())
        threads.add_entry(session, thread, written.message, is_office=False)
    return threads.read_entries(session, thread, code)


def _thank(form: ContactForm) -> ResponseReturnValue:
    """Store a message. A new receipt code is shown at once, so that no URL contains it."""
    code = threads.new_code() if form.is_answered_by_code else ""
    reference = service.new_reference()
    written = form.written(thread=reference if code else "")
    with transaction() as session:
        due_at = throttle(session)
        if code:
            threads.start_thread(session, reference, code, written)
        service.receive(session, services().sealer, reference, written, due_at)
    if code:
        return _show_code(reference, code, ReceiptForm(formdata=None))
    has_address = bool(form.email.data)
    return redirect(url_for(".received", reference=reference, has_address=has_address), 303)


def _show_code(reference: str, code: str, form: ReceiptForm) -> Page:
    return page("contact/received.html", 200, reference=reference, code=code, form=form)


def _groups_and_help_lines() -> tuple[list[Group] | None, HelpLines]:
    """Return the groups whose leaders can be written to, and the help lines.

    Without a database the groups are None, and the page says so.
    """
    settings = services().settings
    try:
        with read_transaction() as session:
            help_lines = site_settings.with_changes(session, settings).help_lines
            return service.addressees(session), help_lines
    except DBAPIError:
        return None, settings.help_lines
