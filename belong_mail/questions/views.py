"""The leads' page about the questions of their group's form."""

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from belong_mail.accounts import service as accounts
from belong_mail.accounts.session import signed_in
from belong_mail.current import transaction
from belong_mail.groups.cards import card, said
from belong_mail.groups.models import Group
from belong_mail.questions import service
from belong_mail.questions.forms import KINDS, QuestionForm

questions = Blueprint("questions", __name__, url_prefix="/lead/groups/<slug>/questions")


@questions.route("", methods=["GET", "POST"])
def listed(slug: str) -> ResponseReturnValue:
    with transaction() as session:
        group = accounts.led_group(session, signed_in(), slug)
        form = QuestionForm()
        is_full = len(group.questions) >= service.MOST
        if not is_full and form.validate_on_submit():
            service.propose(session, group, form.kind.data, form.label(), form.options())
            return redirect(url_for(".listed", slug=slug, done="proposed"), 303)
        page = _page(group, form, is_full=is_full)
    return page, 422 if form.errors or (is_full and form.is_submitted()) else 200


@questions.post("/<int:question_id>/remove")
def remove(slug: str, question_id: int) -> ResponseReturnValue:
    with transaction() as session:
        group = accounts.led_group(session, signed_in(), slug)
        try:
            service.remove(session, group, question_id)
        except service.NoSuchQuestion as error:
            raise accounts.NotYours from error
    return redirect(url_for(".listed", slug=slug, done="removed"), 303)


def _page(group: Group, form: QuestionForm, *, is_full: bool) -> str:
    language = str(get_locale())
    shown = [
        (question, said(question.label, language), [said(o, language) for o in question.options])
        for question in group.questions
    ]
    return render_template(
        "questions/listed.html",
        group=card(group, language),
        shown=shown,
        kinds=KINDS,
        form=form,
        is_full=is_full,
    )
