"""The office's pages: which threads wait, and answering one."""

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from belong_mail.accounts.session import signed_in
from belong_mail.contact import receipts
from belong_mail.current import transaction
from belong_mail.office import service
from belong_mail.office.forms import AnswerForm

office = Blueprint("office", __name__, url_prefix="/office")


@office.get("/threads")
def threads() -> str:
    with transaction() as session:
        found = service.threads(session, signed_in())
    return render_template("office/threads.html", threads=found)


@office.route("/threads/<reference>", methods=["GET", "POST"])
def thread(reference: str) -> ResponseReturnValue:
    form = AnswerForm()
    with transaction() as session:
        found = service.find(session, signed_in(), reference)
        if form.validate_on_submit():
            receipts.add(session, found, form.answer.data or "", is_office=True)
            return redirect(url_for(".thread", reference=reference, answered=1), 303)
        standing = service.standing(session, found)
    page = render_template("office/thread.html", thread=standing, form=form)
    return page, 422 if form.errors else 200
