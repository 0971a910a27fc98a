"""The contact pages: write, and the reference number."""

from flask import Blueprint, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from belong_mail.contact import receipts, service
from belong_mail.contact.forms import CodeForm, ContactForm
from belong_mail.current import parts, transaction, when_admitted
from belong_mail.db import now
from belong_mail.groups.models import Group

contact = Blueprint("contact", __name__)


@contact.route("/contact", methods=["GET", "POST"])
def write() -> ResponseReturnValue:
    """Store what was written; where that cannot be done, say so and keep the words on the page."""
    form = ContactForm()
    groups = _addressees()
    form.offer(groups or [])
    is_lost = groups is None and form.is_submitted()
    if not is_lost and form.is_sent():
        try:
            return _thank(form)
        except DBAPIError:
            is_lost = True
    page = render_template("contact/write.html", form=form, is_lost=is_lost)
    return page, 503 if is_lost else 422 if form.errors else 200


@contact.get("/contact/received/<reference>")
def received(reference: str) -> str:
    with transaction() as session:
        message = service.find(session, reference) or abort(404)
        leads_of = message.group.name if message.group else ""
    return render_template("contact/received.html", reference=reference, leads_of=leads_of)


@contact.route("/contact/answer", methods=["GET", "POST"])
def answer() -> ResponseReturnValue:
    """Show a thread to whoever has its code, and take what they write into it."""
    form = CodeForm()
    if form.is_turned and form.reference.data:
        return _show_code(form.reference.data, form.code.data or "", form)
    if not form.is_sent() and not (form.is_turned and form.is_open.data and form.validate()):
        return render_template("contact/answer.html", form=form), 422 if form.errors else 200
    with transaction() as session:
        until = when_admitted(session)
        if until > now():
            return render_template("contact/answer.html", form=form, until=until), 429
        said = _read(session, form)
    if said is None:
        return render_template("contact/answer.html", form=form), 422
    is_sent = bool(form.message.data) and not form.is_turned
    return render_template("contact/thread.html", form=form, said=said, is_sent=is_sent)


def _read(session: Session, form: CodeForm) -> list[receipts.Said] | None:
    """Open the thread of a code, with what was written now; None when there is none."""
    code = form.code.data or ""
    try:
        thread = receipts.find(session, code)
    except receipts.NoThread:
        form.refuse()
        return None
    if form.message.data and not form.is_turned:
        inbox = parts().settings.contact_inbox
        words = form.message.data
        service.write_again(session, parts().sealer, inbox, thread, words)
        receipts.add(session, thread, words, is_office=False)
    return receipts.read(session, thread, code)


def _thank(form: ContactForm) -> ResponseReturnValue:
    """Store what was written; a receipt code is shown once, on a page without an address."""
    code = receipts.new_code() if form.is_answered_by_code else ""
    reference = _receive(form, code)
    if code:
        return _show_code(reference, code, CodeForm(formdata=None))
    return redirect(url_for(".received", reference=reference), 303)


def _show_code(reference: str, code: str, form: CodeForm) -> str:
    return render_template("contact/received.html", reference=reference, code=code, form=form)


def _addressees() -> list[Group] | None:
    """Return None when the database does not answer: the page says more than its form."""
    try:
        with transaction() as session:
            return service.addressees(session)
    except DBAPIError:
        return None


def _receive(form: ContactForm, code: str) -> str:
    """Store what was written, also for the code if there is one, and return its reference."""
    sealer = parts().sealer
    with transaction() as session:
        due_at = when_admitted(session)
        written = form.written()
        message = service.receive(session, sealer, parts().settings.contact_inbox, written, due_at)
        if code:
            receipts.begin(session, message, code, written.message)
        if form.is_of_staff:
            language = str(get_locale())
            service.acknowledge(session, sealer, message, written.address, language, due_at)
        return message.reference
