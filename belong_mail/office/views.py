"""The office's pages: what waits for it, threads, and answering one."""

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from belong_mail.accounts.session import signed_in
from belong_mail.contact import threads as receipts
from belong_mail.core import site_settings
from belong_mail.groups import header_words
from belong_mail.groups.presenters import group_view
from belong_mail.members.service import TooManyRemovals
from belong_mail.newsletters import approval, asking
from belong_mail.office import service
from belong_mail.office.forms import AnswerForm, RemovalForm, SecondYesForm, SettingsForm
from belong_mail.web.access import for_office, fresh_proof
from belong_mail.web.context import services, transaction

office = Blueprint("office", __name__, url_prefix="/office")


@office.get("", strict_slashes=False)
@for_office
def home() -> str:
    with transaction() as session:
        waiting = service.waiting(session, signed_in())
    return render_template("office/home.html", waiting=waiting)


@office.get("/threads")
@for_office
def threads() -> str:
    with transaction() as session:
        found = service.threads(session, signed_in())
    return render_template("office/threads.html", threads=found, days_since=service.days_since)


@office.route("/threads/<reference>", methods=["GET", "POST"])
@for_office
def thread(reference: str) -> ResponseReturnValue:
    form = AnswerForm()
    with transaction() as session:
        found = service.find(session, signed_in(), reference)
        if form.validate_on_submit():
            receipts.add_entry(session, found, form.answer.data or "", is_office=True)
            return redirect(url_for(".thread", reference=reference, answered=1), 303)
        standing = service.thread_status(session, found)
    page = render_template("office/thread.html", thread=standing, form=form)
    return page, 422 if form.errors else 200


@office.get("/inbox")
@for_office
def inbox() -> str:
    with transaction() as session:
        found = service.inbox(session, signed_in())
        return render_template("office/inbox.html", found=found, days_since=service.days_since)


@office.post("/inbox/resend")
@for_office
def resend() -> ResponseReturnValue:
    with transaction() as session:
        service.resend_messages(session, signed_in())
    return redirect(url_for(".inbox", done="resent"), 303)


@office.route("/groups/<slug>/second-ok", methods=["GET", "POST"])
@for_office
@fresh_proof
def second_ok(slug: str) -> ResponseReturnValue:
    """Say when a group's newsletters need a second leader's yes."""
    with transaction() as session:
        found = service.find_group(session, signed_in(), slug)
        form = SecondYesForm(data={"second_yes": found.second_yes})
        if form.validate_on_submit():
            asking.choose(session, found, form.second_yes.data)
            return redirect(url_for(".second_ok", slug=slug, saved=1), 303)
        shown = group_view(found, str(get_locale()))
        is_wanted = approval.is_wanted(session, found)
    page = render_template("office/second_ok.html", group=shown, form=form, is_wanted=is_wanted)
    return page, 422 if form.errors else 200


@office.route("/addresses", methods=["GET", "POST"])
@for_office
def addresses() -> ResponseReturnValue:
    """Take one address out of a group; the answer is the same whether it was in it or not."""
    form, is_too_many = RemovalForm(), False
    with transaction() as session:
        form.offer(service.groups(session, signed_in()))
        if form.validate_on_submit():
            typed = form.group.data, form.email.data or "", form.what.data
            try:
                service.remove_address(session, signed_in(), services().sealer, *typed)
            except TooManyRemovals:
                is_too_many = True
            else:
                return redirect(url_for(".addresses", done=1), 303)
    page = render_template("office/addresses.html", form=form, is_too_many=is_too_many)
    return page, 429 if is_too_many else 422 if form.errors else 200


@office.route("/settings", methods=["GET", "POST"])
@for_office
@fresh_proof
def settings() -> ResponseReturnValue:
    """Change what the office may say of the site; everyone in the office is told."""
    ours = services().settings
    with transaction() as session:
        current = site_settings.with_changes(session, ours)
        form = SettingsForm(current, header_words.site_words(session))
        if form.validate_on_submit():
            form.change(session, ours)
            return redirect(url_for(".settings", saved=1), 303)
    page = render_template("office/settings.html", form=form)
    return page, 422 if form.errors else 200
