"""The contact pages: write, and the reference number."""

from flask import Blueprint, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from belong_mail.contact import service
from belong_mail.contact.forms import ContactForm
from belong_mail.parts import parts, transaction, when_admitted

contact = Blueprint("contact", __name__)


@contact.route("/contact", methods=["GET", "POST"])
def write() -> ResponseReturnValue:
    form = ContactForm()
    if form.is_sent():
        with transaction() as session:
            due_at = when_admitted(session)
            inbox = parts().settings.contact_inbox
            reference = service.receive(session, parts().sealer, inbox, form.written(), due_at)
        return redirect(url_for(".received", reference=reference), 303)
    return render_template("contact/write.html", form=form), 422 if form.errors else 200


@contact.get("/contact/received/<reference>")
def received(reference: str) -> str:
    with transaction() as session:
        if not service.is_kept(session, reference):
            abort(404)
    return render_template("contact/received.html", reference=reference)
