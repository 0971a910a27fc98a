"""The office's pages about groups: add, describe, order, launch and end one; its questions."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy.orm import Session

from belong_mail.accounts.session import signed_in
from belong_mail.groups import service as group_service
from belong_mail.groups.header_words import is_discreet, needs_no_mark
from belong_mail.groups.models import Group
from belong_mail.groups.presenters import group_view, last_moment
from belong_mail.groups.question_types import QUESTION_TYPES
from belong_mail.groups.questions import MAX_QUESTIONS, question_view
from belong_mail.newsletters.service import InvalidState
from belong_mail.office import group_retirement, service
from belong_mail.office import groups as office
from belong_mail.office.group_forms import EndForm, GroupForm, NewGroupForm, QuestionForm
from belong_mail.web.access import for_office
from belong_mail.web.context import transaction

office_groups = Blueprint("office_groups", __name__, url_prefix="/office")
STEPS = {"up": -1, "down": 1}


@office_groups.get("/groups")
@for_office
def listed() -> str:
    language = str(get_locale())
    with transaction() as session:
        found = service.groups(session, signed_in())
        shown = [(group_view(each, language), is_discreet(each)) for each in found]
        ended = [group_view(each, language) for each in service.ended_groups(session, signed_in())]
    return render_template("office/groups.html", groups=shown, ended=ended)


@office_groups.route("/new-group", methods=["GET", "POST"])
@for_office
def add() -> ResponseReturnValue:
    form = NewGroupForm()
    with transaction() as session:
        if form.validate_on_submit() and (added := _stored(session, form)) is not None:
            return redirect(url_for(".group", slug=added.slug, done="added"), 303)
    page = render_template("office/new_group.html", form=form)
    return page, 422 if form.errors else 200


@office_groups.route("/groups/<slug>", methods=["GET", "POST"])
@for_office
def group(slug: str) -> ResponseReturnValue:
    form = GroupForm()
    with transaction() as session:
        if (ended := service.find_ended_group(session, signed_in(), slug)) is not None:
            return _ended(ended), 200 if request.method == "GET" else 409
        found = service.find_group(session, signed_in(), slug)
        if request.method != "POST":
            form.show(office.described(found))
        elif form.validate_on_submit() and _stored(session, form, found) is not None:
            return redirect(url_for(".group", slug=slug, done="saved"), 303)
        session.refresh(found)
        page = _page("group", found, form=form, is_fixed=needs_no_mark(found))
    return page, 422 if form.errors else 200


@office_groups.post("/groups/<slug>/move")
@for_office
def move(slug: str) -> ResponseReturnValue:
    with transaction() as session:
        found = service.find_group(session, signed_in(), slug)
        group_service.move(session, found, STEPS.get(request.form.get("to", ""), 0))
    return redirect(url_for(".listed", _anchor=slug), 303)


@office_groups.route("/groups/<slug>/launch", methods=["GET", "POST"])
@for_office
def launch(slug: str) -> ResponseReturnValue:
    """Ask on GET; on POST let an upcoming group start. The worker tells those who wait."""
    with transaction() as session:
        found = service.find_group(session, signed_in(), slug)
        if request.method == "POST":
            try:
                group_service.launch(found)
            except group_service.AlreadyLaunched as error:
                raise InvalidState from error
            return redirect(url_for(".group", slug=slug, done="launched"), 303)
        return _page("launch_group", found, waiting=office.people_waiting(session, found))


@office_groups.route("/groups/<slug>/end", methods=["GET", "POST"])
@for_office
def end(slug: str) -> ResponseReturnValue:
    """Say on GET what the end of a group means; on POST set it."""
    form = EndForm()
    with transaction() as session:
        found = service.find_group(session, signed_in(), slug)
        if form.validate_on_submit():
            group_retirement.end_on(session, found, form.moment)
            return redirect(url_for(".group", slug=slug, done="ending"), 303)
        scheduled = group_retirement.count_scheduled(session, found)
        page = _page(
            "end_group", found, form=form, scheduled=scheduled, members=found.members_shown
        )
    return page, 422 if form.errors else 200


@office_groups.post("/groups/<slug>/restore")
@for_office
def restore(slug: str) -> ResponseReturnValue:
    with transaction() as session:
        group_retirement.restore(session, service.find_group(session, signed_in(), slug))
    return redirect(url_for(".group", slug=slug, done="restored"), 303)


@office_groups.route("/groups/<slug>/questions", methods=["GET", "POST"])
@for_office
def questions(slug: str) -> ResponseReturnValue:
    """List what a group's sign-up form asks; a form adds a question."""
    form, language = QuestionForm(), str(get_locale())
    with transaction() as session:
        found = service.find_group(session, signed_in(), slug)
        is_full = len(found.questions) >= MAX_QUESTIONS
        if not is_full and form.validate_on_submit():
            said = form.kind.data, form.typed("label"), form.options()
            office.add_question(session, found, *said)
            return redirect(url_for(".questions", slug=slug, done="added"), 303)
        shown = [question_view(each, language) for each in found.questions]
        kinds = QUESTION_TYPES
        page = _page("questions", found, form=form, shown=shown, kinds=kinds, is_full=is_full)
    return page, 422 if form.errors or (is_full and form.is_submitted()) else 200


@office_groups.post("/groups/<slug>/questions/<int:question_id>/remove")
@for_office
def remove_question(slug: str, question_id: int) -> ResponseReturnValue:
    with transaction() as session:
        found = service.find_group(session, signed_in(), slug)
        office.remove_question(session, found, question_id)
    return redirect(url_for(".questions", slug=slug, done="removed"), 303)


def _stored(session: Session, form: GroupForm, found: Group | None = None) -> Group | None:
    """Store what was typed of a group or of a new one, or say in the form why it cannot be."""
    with session.begin_nested() as attempt:
        try:
            if found is not None:
                return office.describe(session, found, form.described())
            return office.add(session, form.described(), is_upcoming=form["starts"].data != "now")
        except office.NameTaken:
            form.refuse_name()
        except office.TellsInOurEmails as error:
            form.refuse_word(error.word)
        attempt.rollback()
    return None


def _ended(group: Group) -> str:
    """Say of an ended group when that was, what becomes of its memberships, and until when."""
    return _page(
        "ended_group",
        group,
        ended_at=last_moment(group.ends_at) or group.retired_at,
        emptied_at=group.emptied_at,
        emptied_after=group_retirement.emptied_after(group),
    )


def _page(name: str, found: Group, **context: Any) -> str:
    shown = group_view(found, str(get_locale()))
    return render_template(f"office/{name}.html", group=shown, **context)
