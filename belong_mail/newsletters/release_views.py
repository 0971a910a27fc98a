"""Pages to send, approve, watch, stop and read: for leads of the group, and the office."""

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import Account
from belong_mail.accounts.session import signed_in
from belong_mail.core import rate_limits
from belong_mail.core.db import now
from belong_mail.core.rate_limits import TEST_RATE, TO_COLLEAGUES_RATE, Limit
from belong_mail.groups.pages import group_page
from belong_mail.newsletters import approval, files
from belong_mail.newsletters import preview as issue_preview
from belong_mail.newsletters import progress as issue_progress
from belong_mail.newsletters import release as issue_release
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.checklist import UnfitIssue, require_rendered_fit
from belong_mail.newsletters.forms import LATER, ReleaseForm
from belong_mail.newsletters.jobs import AskForApproval, TellDeclined
from belong_mail.newsletters.models import Image, Newsletter
from belong_mail.newsletters.release import UNDO_MINUTES, Verb, find_released, issue_status
from belong_mail.web.access import (
    Access,
    also,
    for_leads,
    for_office,
    for_second_lead,
    fresh_proof,
    has_access,
)
from belong_mail.web.context import limit_key, services
from belong_mail.web.page import Page, page

releases = Blueprint("releases", __name__, url_prefix="/lead/newsletters/<public_id>")
approvals = Blueprint("approvals", __name__, url_prefix="/lead")
office_newsletters = Blueprint("office_newsletters", __name__, url_prefix="/office/newsletters")
# Sent issues on a page of the office's list.
ISSUES_PER_PAGE = 30


def find_issue(session: Session, account: Account, public_id: str) -> Newsletter:
    """Find an issue, but not a template, of a group that the account leads. Raises NotFound."""
    issue = newsletters.find_for_lead(session, account, public_id)
    if issue.is_template:
        raise accounts.NotFound
    return issue


def _send(session: Session, issue: Newsletter) -> None:
    issue_release.release_held(session, issue, signed_in().id)


# Each button's action, by the last part of its URL.
VERBS: dict[str, Verb] = {
    "undo": issue_release.undo,
    "cancel": issue_release.undo,
    "pause": issue_release.pause,
    "resume": issue_release.resume,
    "send": _send,
    "stop": issue_release.stop,
}


@releases.route("/release", methods=["GET", "POST"])
@for_leads(public_id=find_issue)
@fresh_proof
def release(session: Session, issue: Newsletter) -> ResponseReturnValue:
    is_asked = approval.is_open(issue)
    if request.method != "POST" and (is_asked or issue.due_at or issue.queued_at):
        place = "approvals.approve" if is_asked else ".sending"
        return redirect(url_for(place, public_id=issue.public_id), 303)
    form = ReleaseForm()
    is_right = form.validate_on_submit() and form.is_before_end(issue.group)
    findings = issue_progress.delivery_findings(issue)
    if is_right and not any(place for _words, place in findings):
        return redirect(_let_go(session, issue, form), 303)
    return _page(
        "release",
        issue,
        422 if form.is_submitted() else 200,
        form=form,
        findings=findings,
        others=len(approval.others(session, issue, signed_in())),
        needs_approval=approval.is_needed(session, issue),
        versions=_versions(issue),
    )


def _let_go(session: Session, issue: Newsletter, form: ReleaseForm) -> str:
    """Schedule an issue, or ask for the approval that it needs; return the next page."""
    session.flush()
    if approval.is_needed(session, issue):
        later = form.due_at() if form.when.data == LATER else None
        minutes = UNDO_MINUTES[1] if later else int(form.when.data)
        key = limit_key(f"approve/{issue.group.public_id}")
        approval.ask(session, issue, signed_in(), later, minutes)
        if rate_limits.try_use(session, key, TO_COLLEAGUES_RATE, now(), table=Limit) is not None:
            AskForApproval(issue.public_id).ask(session, services().sealer)
        return url_for("approvals.approve", public_id=issue.public_id)
    issue_release.release(session, issue, form.due_at(), signed_in().id)
    return url_for(".sending", public_id=issue.public_id)


@releases.post("/test")
@for_leads(public_id=find_issue)
def test(session: Session, issue: Newsletter) -> ResponseReturnValue:
    """Send a test copy to leaders; inboxes show its subject, so the gate must pass it."""
    try:
        require_rendered_fit(issue, services().renderer, services().links)
    except UnfitIssue:
        return redirect(url_for(".release", public_id=issue.public_id), 303)
    is_for_all = request.form.get("to") == "all"
    others = approval.others(session, issue, signed_in()) if is_for_all else []
    is_allowed = _may_test(session, issue, has_others=is_for_all)
    if is_allowed:
        issue_release.ask_for_test(session, services().sealer, issue, [signed_in(), *others])
    done = ("all" if is_for_all else "me") if is_allowed else "later"
    return redirect(url_for(".release", public_id=issue.public_id, done=done), 303)


def _may_test(session: Session, issue: Newsletter, *, has_others: bool) -> bool:
    """Use the leader's rate limit, and also the group's if the test goes to others."""
    own = limit_key(f"test/{signed_in().public_id}"), TEST_RATE
    of_group = limit_key(f"test-others/{issue.group.public_id}"), TO_COLLEAGUES_RATE
    uses = [own, *([of_group] if has_others else [])]
    return rate_limits.try_uses(session, uses, now(), Limit)


@office_newsletters.post("/<public_id>/<any(cancel, pause, resume, stop):verb>", endpoint="act")
@for_office(public_id=find_released)
@also
@releases.post("/<any(undo, pause, resume, stop):verb>")
@for_leads(public_id=find_issue)
def act(session: Session, issue: Newsletter, verb: str) -> ResponseReturnValue:
    """Change an issue's state; its leaders get an email if the office does it."""
    office = signed_in() if has_access(Access.OFFICE) else None
    issue_release.ask(session, services().sealer, issue, VERBS[verb], office)
    if office and verb == "cancel":  # drafts belong to their leaders alone
        return redirect(url_for(".issues", done="canceled"), 303)
    if verb == "undo":
        return redirect(url_for("editor.write", public_id=issue.public_id, done="undone"), 303)
    return redirect(url_for(".sending", public_id=issue.public_id, done=office and "done"), 303)


@office_newsletters.post("/<public_id>/send")
@for_office(public_id=find_released)
@fresh_proof
def send(session: Session, issue: Newsletter) -> ResponseReturnValue:
    return act(session, issue, "send")


@office_newsletters.get("/<public_id>/<any(cancel, send, stop):verb>", endpoint="ask")
@for_office(public_id=find_released)
@also
@releases.get("/<any(stop):verb>")
@for_leads(public_id=find_issue)
def ask(session: Session, issue: Newsletter, verb: str) -> ResponseReturnValue:
    if verb == "stop" and issue.queued_at is None:  # nothing to stop yet: it can be canceled
        return redirect(url_for(".sending", public_id=issue.public_id), 303)
    return _status_page("ask", session, issue, verb=verb)


@office_newsletters.get("/<public_id>", endpoint="sending")
@for_office(public_id=find_released)
@also
@releases.get("/sending")
@for_leads(public_id=find_issue)
def sending(session: Session, issue: Newsletter) -> Page:
    """Show an issue's progress, and afterwards its results."""
    return _status_page("sending", session, issue)


def _status_page(name: str, session: Session, issue: Newsletter, **context: object) -> Page:
    """Render a page about an issue's status; exact numbers for the office only."""
    is_office, status = has_access(Access.OFFICE), issue_status(session, issue)
    return _page(
        name,
        issue,
        status=status,
        progress=issue_progress.progress(issue, status, services().settings.send_rate),
        percent=issue_progress.percent(status, is_exact=is_office),
        sentences=[] if is_office else issue_progress.report(issue, status),
        counts=issue_progress.exact_counts(issue, status) if is_office else [],
        credits=issue_progress.credits_of(session, issue, signed_in()),
        unfit=issue_progress.unfit(issue, status),
        lacks_approval=status.state == "held" and approval.is_needed(session, issue),
        **context,
    )


@office_newsletters.get("/<public_id>/read", endpoint="read")
@for_office(public_id=find_released)
@also
@releases.get("/read")
@for_leads(public_id=find_issue)
def read(session: Session, issue: Newsletter) -> Page:
    """Show an issue's words in each language, when it was sent, and by whom."""
    said = issue_progress.credits_of(session, issue, signed_in())
    return _page("read", issue, versions=_versions(issue), credits=said)


@office_newsletters.get("")
@for_office
def issues(session: Session) -> Page:
    """List the issues of all groups without drafts: first what waits, then what was sent."""
    number = max(1, request.args.get("page", 1, type=int))
    waiting = issue_release.open_issues(session) if number == 1 else []
    skipped = (number - 1) * ISSUES_PER_PAGE
    gone = issue_release.queued_issues(session, skipped, ISSUES_PER_PAGE + 1)
    listed = [each for each in gone[:ISSUES_PER_PAGE] if each not in waiting]
    return page(
        "releases/issues.html",
        page=number,
        waiting=[(each, issue_status(session, each)) for each in waiting],
        gone=[(each, issue_status(session, each)) for each in listed],
        has_more=len(gone) > ISSUES_PER_PAGE,
    )


@office_newsletters.get("/<public_id>/pictures/<picture_id>")
@office_newsletters.get("/<public_id>/flyers/<flyer_id>")
@for_office(public_id=find_released)
def file(_session: Session, issue: Newsletter, **named: str) -> ResponseReturnValue:
    return files.shown(files.find(issue, **named))


def _versions(issue: Newsletter) -> list[dict[str, str]]:
    """Return an issue's words in each language, with pictures that this reader may see."""
    place = "office_newsletters.file" if has_access(Access.OFFICE) else "pictures.show"

    def image_url(image: Image) -> str:
        return url_for(place, public_id=issue.public_id, picture_id=image.public_id)

    return issue_preview.versions(issue, image_url)


def _page(name: str, issue: Newsletter, status: int = 0, /, **context: object) -> Page:
    is_office = has_access(Access.OFFICE)
    shown = {"issue": issue, "is_office": is_office, **context}
    return group_page(f"releases/{name}.html", issue.group, status, **shown)


@approvals.route("/newsletters/<public_id>/approve", methods=["GET", "POST"])
@for_second_lead(public_id=find_issue)
@fresh_proof
def approve(session: Session, issue: Newsletter) -> ResponseReturnValue:
    """Show a request for approval on GET; approve and schedule the issue on POST."""
    if request.method == "POST" and approval.is_open(issue):
        issue_release.approve(session, issue, signed_in(), request.form.get("seen", ""))
        return redirect(url_for("releases.sending", public_id=issue.public_id), 303)
    return _approval_page(session, issue, 409 if request.method == "POST" else 200)


@approvals.post("/newsletters/<public_id>/decline")
@for_leads(public_id=find_issue)
def decline(session: Session, issue: Newsletter) -> ResponseReturnValue:
    """Withdraw one's own request, or decline another leader's, who then gets an email."""
    asked_by = approval.decline(session, issue)
    if asked_by == signed_in().id:
        return redirect(url_for("editor.write", public_id=issue.public_id), 303)
    asker = session.get_one(Account, asked_by)
    TellDeclined(issue.public_id, asker.public_id).ask(session, services().sealer)
    return redirect(url_for("lead.home", done="declined"), 303)


def _approval_page(session: Session, issue: Newsletter, status: int) -> Page:
    found, is_open = issue.approval, approval.is_open(issue)
    return group_page(
        "approvals/approve.html",
        issue.group,
        status,
        issue=issue,
        found=found,
        asker=found and session.get(Account, found.asked_by),
        is_open=is_open,
        is_mine=found is not None and found.asked_by == signed_in().id,
        state=issue_release.issue_status(session, issue).state,
        expires_at=found.asked_at + approval.REQUEST_AGE if found else None,
        seen=found.digest.hex() if found else "",
        members=issue.group.members_shown,
        versions=_versions(issue),
    )
