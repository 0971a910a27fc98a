"""Leaders' pages: their home, and their group's page and mailbox."""

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from belong_mail.accounts import people
from belong_mail.accounts import service as accounts
from belong_mail.accounts.session import signed_in
from belong_mail.core.db import now
from belong_mail.core.i18n import known_language
from belong_mail.core.tokens import Purpose
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group
from belong_mail.groups.pages import group_page
from belong_mail.groups.presenters import group_view, localized, page_view
from belong_mail.leads import mailbox
from belong_mail.leads import page as public_page
from belong_mail.leads.forms import PageForm
from belong_mail.meetings import service as meetings
from belong_mail.meetings.formatting import meeting_view
from belong_mail.members import service as members
from belong_mail.members.models import WELCOME
from belong_mail.newsletters import approval, archive, progress, release
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.newsletters.preview import POLICY as EMAIL_POLICY
from belong_mail.web.access import for_accounts, for_leads, no_cookie, public
from belong_mail.web.context import services, services_as_set, throttle
from belong_mail.web.language import request_language
from belong_mail.web.page import Page, page

# The order on a leader's home: to be answered, to be sent, being sent, drafts, ended.
STATES = ("approve", "held", "paused", "asked", "scheduled", "sending", "draft", "stopped", "sent")

lead = Blueprint("lead", __name__, url_prefix="/lead")


@lead.get("/")
@for_accounts
def home(session: Session) -> Page:
    language, led = request_language(), accounts.groups_of(session, signed_in())
    return page(
        "lead/home.html",
        groups=[_group_at_home(session, group, language) for group in led],
    )


def _group_at_home(session: Session, group: Group, language: str) -> dict[str, object]:
    """Return a group for the home page; an upcoming one has no newsletters yet."""
    card = group_view(group, language)
    issues = [] if card.is_upcoming else newsletters.latest(session, group)
    coming = meetings.next_held(session, services().settings.timezone, now(), meetings.NEXT, group)
    return {
        "card": card,
        "issues": sorted(
            (_issue_at_home(session, issue) for issue in issues),
            key=lambda row: STATES.index(str(row["state"])),
        ),
        "template": archive.template_of(session, group),
        "coming": [meeting_view(each, language) for each in coming],
        "leaders": accounts.leads_of(session, group),
        "members": group.members_shown,
        "waiting": members.people_waiting(session, group) if card.is_upcoming else 0,
    }


def _issue_at_home(session: Session, issue: Newsletter) -> dict[str, object]:
    """Return an issue for the home page; until it is queued, with the others who edit it."""
    state = release.issue_status(session, issue).state
    if issue.approval is not None and approval.is_open(issue):
        is_own = issue.approval.asked_by == signed_in().id
        state = "asked" if is_own else "approve"
    moment = issue.held_at or issue.due_at or issue.queued_at
    is_waiting = issue.queued_at is None
    return {
        "issue": issue,
        "state": state,
        "at": issue.changed_at if state in {"draft", "asked", "approve"} else moment,
        "writers": progress.other_writers(session, issue, signed_in()) if is_waiting else [],
    }


group_settings = Blueprint("group_settings", __name__, url_prefix="/lead/groups/<slug>")


@group_settings.route("/page", methods=["GET", "POST"], endpoint="page")
@for_leads(slug=accounts.group_for_lead)
def change_page(session: Session, group: Group) -> ResponseReturnValue:
    groups.lock(session, group)
    form, stored = PageForm(), public_page.page_of(group)
    newer = form.newer(stored)
    if request.method != "POST":
        form.show(stored)
    elif "undo" in request.form:
        if not form.is_unsaved(stored):
            public_page.undo(session, group)
            return redirect(url_for(".page", slug=group.slug, done="undone"), 303)
    elif form.validate_on_submit() and form.has_quiet_mailbox(group):
        if "preview" in request.form:
            return _preview(group, form)
        if "welcome" in request.form:
            return _preview_welcome(session, group, form)
        if not newer and _keep(session, group, form):
            return redirect(url_for(".page", slug=group.slug, done="saved"), 303)
    shown = {"form": form, "newer": newer, **_settings(session, group)}
    return group_page("group_settings/page.html", group, 409 if newer else 0, of=group, **shown)


def _settings(session: Session, group: Group) -> dict[str, object]:
    """Return the settings that are shown beside the texts of a group's page."""
    return {
        "asked_at": mailbox.asked_at(session, group),
        "has_mailbox": mailbox.is_set(session, group),
        "needs_approval": approval.is_wanted(session, group),
        "has_two": len(accounts.leads_of(session, group)) >= approval.TWO,
    }


def _preview(group: Group, form: PageForm) -> Page:
    """Show the public page with the form's texts, without storing them."""
    would_be = Group(
        slug=group.slug,
        name=group.name,
        id=group.id,
        established_at=group.established_at,
        audience=group.audience,
        **form.columns(),
    )
    return page("directory/group.html", **page_view(would_be, request_language()))


def _preview_welcome(session: Session, group: Group, form: PageForm) -> Response:
    """Show the welcome email with the form's texts, in the language of the pressed button."""
    language, settings = known_language(request.form["welcome"]), services().settings
    coming = meetings.next_held(session, settings.timezone, now(), meetings.NEXT, group)
    sample = services_as_set(session).renderer.render(
        WELCOME,
        language,
        group=group,
        first_name="",
        is_staff=True,
        words=localized(form.columns()["welcome"], language),
        meetings=[meeting_view(each, language, is_member=True) for each in coming],
        calendar_url=settings.base_url,
        leave_url=settings.base_url,
    )
    answer = Response(sample.html)
    answer.headers["Content-Security-Policy"] = EMAIL_POLICY
    return answer


def _keep(session: Session, group: Group, form: PageForm) -> bool:
    """Store the input; return False, with an error, if no one could give a second OK."""
    try:
        if form.second_ok.data:
            approval.require_from_now_on(session, group)
    except newsletters.InvalidState:
        form.refuse_second_ok()
        return False
    public_page.change(session, group, form.columns())
    if form.without_mailbox.data:
        mailbox.remove_mailbox(session, group)
    elif form.mailbox.data:
        address, language = form.mailbox.data, request_language()
        mailbox.propose_mailbox(session, services().sealer, group, signed_in(), address, language)
    return True


@group_settings.post("/stop-leading")
@for_leads(slug=accounts.group_for_lead)
def stop_leading(session: Session, group: Group) -> ResponseReturnValue:
    people.end_right(session, services().sealer, signed_in(), signed_in(), group.slug)
    return redirect(url_for("lead.home", done="stopped"), 303)


shared_mailbox = Blueprint("shared_mailbox", __name__)


@shared_mailbox.route("/confirm-mailbox/<token>", methods=["GET", "POST"])
@public
@no_cookie
def confirm(session: Session, token: str) -> ResponseReturnValue:
    named = services().tokens.read(Purpose.CONFIRM_MAILBOX, token)
    if request.method == "POST":
        throttle(session)
        mailbox.confirm_mailbox(session, services().sealer, named)
        return redirect(url_for(".confirmed"), 303)
    mailbox.require_proposal(session, named.partition(".")[0])
    return page("confirm.html", what="inbox", action=request.path)


@shared_mailbox.get("/confirm-mailbox/done")
@public
def confirmed() -> Page:
    return page("done.html", what="inbox")
