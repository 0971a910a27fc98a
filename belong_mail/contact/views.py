"""The contact pages: write, and the reference number."""

from flask import Blueprint, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy.exc import DBAPIError

from belong_mail.contact import service
from belong_mail.contact.forms import ContactForm
from belong_mail.groups.models import Group
from belong_mail.parts import parts, transaction, when_admitted

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
            return redirect(url_for(".received", reference=_receive(form)), 303)
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


def _addressees() -> list[Group] | None:
    """Return None when the database does not answer: the page says more than its form."""
    try:
        with transaction() as session:
            return service.addressees(session)
    except DBAPIError:
        return None


def _receive(form: ContactForm) -> str:
    """Store what was written and return its reference."""
    sealer = parts().sealer
    with transaction() as session:
        due_at = when_admitted(session)
        written = form.written()
        message = service.receive(session, sealer, parts().settings.contact_inbox, written, due_at)
        if form.is_of_staff:
            language = str(get_locale())
            service.acknowledge(session, sealer, message, written.address, language, due_at)
        return message.reference
