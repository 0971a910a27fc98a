"""The office's pages about groups, and about importing lists of members."""

from typing import Any

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from belong_mail.accounts import people, proof
from belong_mail.accounts.service import NotFound
from belong_mail.accounts.session import signed_in
from belong_mail.core import i18n
from belong_mail.core.db import now, required
from belong_mail.groups import service as group_service
from belong_mail.groups.header_words import is_discreet, needs_no_mark
from belong_mail.groups.models import Group
from belong_mail.groups.pages import group_page
from belong_mail.groups.presenters import group_view, last_moment
from belong_mail.groups.questions import MAX_QUESTIONS, QUESTION_TYPES, question_view
from belong_mail.meetings import service as meetings
from belong_mail.meetings.formatting import meeting_view
from belong_mail.members import imports
from belong_mail.members.imports import announcement
from belong_mail.members.service import people_waiting
from belong_mail.newsletters import approval, release
from belong_mail.newsletters.service import InvalidState
from belong_mail.office import group_retirement, service
from belong_mail.office import groups as office
from belong_mail.office.forms import MAX_BODY, ImportForm
from belong_mail.office.group_forms import (
    ChangeGroupForm,
    EndForm,
    GroupForm,
    NewGroupForm,
    QuestionForm,
)
from belong_mail.web.access import for_office, fresh_proof
from belong_mail.web.context import allow_uploads, services, transaction
from belong_mail.web.language import gettext as _
from belong_mail.web.language import request_language
from belong_mail.web.page import Page, page

office_groups = Blueprint("office_groups", __name__, url_prefix="/office")


@office_groups.route("/groups", methods=["GET", "POST"])
@for_office
@fresh_proof
def listed(session: Session) -> ResponseReturnValue:
    """List the groups, or with `?order=1` reorder them; on POST renew rights that end soon."""
    if request.method == "POST":
        people.renew(session, signed_in(), request.form.getlist("right"))
        return redirect(url_for(".listed", done="renewed"), 303)
    language, zone = request_language(), services().settings.timezone
    found = office.glance(session, zone, now())
    shown = [
        (group_view(each["group"], language), is_discreet(each["group"]), each) for each in found
    ]
    if "order" in request.args:
        return page("office/order.html", groups=shown)
    ended = [group_view(each, language) for each in group_service.listed_ended(session)]
    ending = people.ending(session, signed_in())
    return page("office/groups.html", groups=shown, ended=ended, ending=ending)


@office_groups.route("/new-group", methods=["GET", "POST"])
@for_office
def new(session: Session) -> ResponseReturnValue:
    form = NewGroupForm()
    if form.validate_on_submit() and (added := _stored(session, form)) is not None:
        return redirect(url_for(".group", slug=added.slug, done="added"), 303)
    return page("office/new_group.html", form=form)


@office_groups.route("/groups/<slug>", methods=["GET", "POST"])
@for_office
def group(session: Session, slug: str) -> ResponseReturnValue:
    found = required(group_service.find_of_any_age(session, slug), NotFound)
    if found.has_ended(now()):
        return _ended(found)
    group_service.lock(session, found)
    form, stored = ChangeGroupForm(), office.described(found)
    newer = form.newer(stored)
    if request.method != "POST":
        form.show(stored)
        form.approval_rule.data = form.shown_rule.data = found.approval_rule
    elif form.validate_on_submit() and not newer and _stored(session, form, found) is not None:
        return redirect(url_for(".group", slug=slug, done="saved"), 303)
    shown = {"form": form, "newer": newer, **_at_a_glance(session, found)}
    return group_page("office/group.html", found, 409 if newer else 0, **shown)


def _at_a_glance(session: Session, group: Group) -> dict[str, Any]:
    """Return a group's people, newsletters, next meeting and rules, for its page."""
    coming = meetings.next_held(session, services().settings.timezone, now(), 1, group)
    waiting = [each for each in release.open_issues(session) if each.group_id == group.id]
    return {
        "team": people.team_of(session, group),
        "waiting": [(each, release.issue_status(session, each)) for each in waiting],
        "last": office.last_issue(session, group),
        "coming": [meeting_view(each, request_language()) for each in coming],
        "members": group.members_shown,
        "asked": people_waiting(session, group),
        "missing": [_(each) for each in office.missing(session, group)],
        "undo_until": group_service.launch_undo_until(group),
        "is_importing": imports.is_running(session, group),
        "is_discreet": is_discreet(group),
        "is_fixed": needs_no_mark(group),
    }


@office_groups.post("/groups/<slug>/move")
@for_office(slug=service.find_group)
def move(session: Session, group: Group) -> ResponseReturnValue:
    group_service.move(session, group, request.form.get("to", ""))
    return redirect(url_for(".listed", order=1, _anchor=group.slug), 303)


@office_groups.post("/groups/<slug>/<any(launch, undo, restore):verb>")
@for_office(slug=service.find_group)
def act(session: Session, group: Group, verb: str) -> ResponseReturnValue:
    """Launch an upcoming group, undo that within an hour, or cancel a group's end."""
    try:
        if verb == "launch":
            office.launch(session, group)
        elif verb == "undo":
            group_service.undo_launch(group)
        else:
            group_retirement.restore(session, group)
    except group_service.AlreadyLaunched as error:
        raise InvalidState from error
    return redirect(url_for(".group", slug=group.slug, done=verb), 303)


@office_groups.route("/groups/<slug>/end", methods=["GET", "POST"])
@for_office(slug=service.find_group)
def end(session: Session, group: Group) -> ResponseReturnValue:
    """Explain on GET what a group's end means; on POST set it."""
    form = EndForm()
    if form.validate_on_submit():
        group_retirement.end_on(session, group, form.moment)
        return redirect(url_for(".group", slug=group.slug, done="ending"), 303)
    scheduled, members = group_retirement.count_scheduled(session, group), group.members_shown
    shown = {"form": form, "scheduled": scheduled, "members": members}
    return group_page("office/end_group.html", group, **shown)


@office_groups.route("/groups/<slug>/questions", methods=["GET", "POST"])
@for_office(slug=service.find_group)
def questions(session: Session, group: Group) -> ResponseReturnValue:
    """List the questions of a group's sign-up form; on POST add one."""
    form = QuestionForm()
    is_full = len(group.questions) >= MAX_QUESTIONS
    if not is_full and form.validate_on_submit():
        said = form.kind.data, form.typed("label"), form.typed_options()
        office.add_question(session, group, *said)
        return redirect(url_for(".questions", slug=group.slug, done="added"), 303)
    listed = [question_view(each, request_language()) for each in group.questions]
    shown = {"form": form, "shown": listed, "kinds": QUESTION_TYPES, "is_full": is_full}
    status = 422 if is_full and form.is_submitted() else 0
    return group_page("office/questions.html", group, status, **shown)


@office_groups.post("/groups/<slug>/questions/<int:question_id>/remove")
@for_office(slug=service.find_group)
def remove_question(session: Session, group: Group, question_id: int) -> ResponseReturnValue:
    office.remove_question(session, group, question_id)
    return redirect(url_for(".questions", slug=group.slug, done="removed"), 303)


def _stored(session: Session, form: GroupForm, found: Group | None = None) -> Group | None:
    """Store a group, new or changed, and return it; None with a form error if its name is taken."""
    try:
        if found is not None:
            office.describe(session, found, form.columns())
            if form["approval_rule"].data not in (form["shown_rule"].data, found.approval_rule):
                proof.require_fresh()
                approval.choose(session, found, form["approval_rule"].data)
            return found
        return office.add(session, form.columns())
    except office.NameTaken:
        form.refuse_name()
    return None


def _ended(group: Group) -> Page:
    """Show when a group ended, and when its memberships are deleted."""
    return group_page(
        "office/ended_group.html",
        group,
        200 if request.method == "GET" else 409,
        ended_at=last_moment(group.ends_at) or group.retired_at,
        emptied_at=group.emptied_at,
        emptied_after=group_retirement.emptied_after(group),
    )


# Why a checked file has no audit entry.
CHECKED = "Nobody is asked before it is started."
office_imports = Blueprint("office_imports", __name__, url_prefix="/office/groups/<slug>/import")
allow_uploads(office_imports, MAX_BODY)


@office_imports.route("", methods=["GET", "POST"])
@for_office
def add(slug: str) -> ResponseReturnValue:
    """Check a file on POST, and store its addresses, sealed, until the import is started."""
    form = ImportForm()
    is_right = form.validate_on_submit()  # outside a transaction: reading a file takes a while
    with transaction(unrecorded=CHECKED) as session:
        group = service.find_group(session, slug)
        if is_right and form.found is not None:
            language = form.language.data or i18n.DEFAULT
            try:
                imports.store(session, services().sealer, group, form.found, language)
            except (imports.NotOpen, imports.AlreadyWaiting) as error:
                raise InvalidState from error
            return redirect(url_for(".add", slug=slug, checked=1), 303)
        return _import_page(session, group, form)


@office_imports.post("/start")
@for_office(slug=service.find_group)
@fresh_proof
def start(session: Session, group: Group) -> ResponseReturnValue:
    seen = required(_seen(session, group), InvalidState)
    try:
        imports.start(session, seen)
    except imports.NotOpen as error:
        raise InvalidState from error
    return redirect(url_for(".add", slug=group.slug), 303)


@office_imports.post("/discard")
@for_office(slug=service.find_group)
def discard(session: Session, group: Group) -> ResponseReturnValue:
    """Stop an import, and delete its remaining addresses."""
    seen = _seen(session, group)
    done = "stopped" if seen and seen.started_at else "discarded"
    if seen is not None:
        imports.discard(session, seen)
    return redirect(url_for(".add", slug=group.slug, done=done), 303)


def _seen(session: Session, group: Group) -> imports.Import | None:
    """Return the newest import. Raises InvalidState if the page showed another."""
    latest = imports.latest(session, group)
    if latest is not None and latest.public_id != request.form.get("seen"):
        raise InvalidState
    return latest


def _import_page(session: Session, group: Group, form: ImportForm) -> Page:
    latest = imports.latest(session, group)
    sender = f"belong@{services().settings.mail_domain}"
    return group_page(
        "office/import.html",
        group,
        is_open=group.is_open,
        form=form,
        latest=latest,
        report=latest and latest.report,
        progress=latest and imports.progress(session, latest, services().settings),
        texts={code: announcement(group, services().links, sender, code) for code in i18n.NAMES},
    )
