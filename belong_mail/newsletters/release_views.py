"""Releasing, a second leader's yes, watching, reading again: for the leads of the group alone."""

from functools import partial

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.accounts.session import signed_in
from belong_mail.core import rate_limits
from belong_mail.core.db import now
from belong_mail.core.rate_limits import TEST_RATE, TO_COLLEAGUES_RATE, Limit
from belong_mail.groups.presenters import group_view
from belong_mail.newsletters import approval, asking
from belong_mail.newsletters import preview as issue_preview
from belong_mail.newsletters import progress as issue_progress
from belong_mail.newsletters import release as issue_release
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.checklist import UnfitIssue, require_rendered_fit
from belong_mail.newsletters.forms import EmptyForm, ReleaseForm
from belong_mail.newsletters.models import Image, Newsletter
from belong_mail.newsletters.release import UNDO_MINUTES
from belong_mail.web.access import for_leads, for_second_lead, fresh_proof
from belong_mail.web.context import limit_key, services, transaction
from belong_mail.web.language import request_language

releases = Blueprint("releases", __name__, url_prefix="/lead/newsletters/<public_id>")
approvals = Blueprint("approvals", __name__, url_prefix="/lead")


@releases.route("/release", methods=["GET", "POST"])
@for_leads
@fresh_proof
def release(public_id: str) -> ResponseReturnValue:
    with transaction() as session:
        issue = _issue(session, public_id)
        form = ReleaseForm()
        is_right = form.validate_on_submit() and form.is_before_end(issue.group)
        findings = issue_progress.delivery_findings(issue)
        is_ready = not any(is_refusal for _words, is_refusal in findings)
        if is_right and is_ready:
            return redirect(_let_go(session, issue, form), 303)
        page = _release_page(session, issue, form, findings)
    return page, 422 if form.is_submitted() else 200


def _let_go(session: Session, issue: Newsletter, form: ReleaseForm) -> str:
    """Let an issue go out, or ask for the second yes that it needs; return where to go then."""
    session.flush()
    if approval.is_needed(session, issue):
        later = form.due_at() if form.when.data == "later" else None
        minutes = int(form.minutes.data or UNDO_MINUTES[1])
        key = limit_key(f"approve/{issue.group.public_id}")
        told = rate_limits.try_use(session, key, TO_COLLEAGUES_RATE, now(), table=Limit)
        wanted = asking.Wanted(later, minutes, is_told=told is not None)
        asking.ask(session, services().sealer, issue, signed_in(), wanted)
        return url_for("approvals.approve", public_id=issue.public_id)
    issue_release.release(session, issue, form.due_at(), signed_in().id)
    return url_for(".sending", public_id=issue.public_id)


@releases.post("/test")
@for_leads
def test(public_id: str) -> ResponseReturnValue:
    """Mail the issue to leads; its subject comes to a screen too, so it must be fit."""
    with transaction() as session:
        issue = _issue(session, public_id)
        try:
            require_rendered_fit(issue, services().renderer, services().links)
        except UnfitIssue:
            return redirect(url_for(".release", public_id=public_id), 303)
        whom = request.form.get("to", "me")
        others = issue_release.other_leads(session, issue, signed_in())
        readers = [*([signed_in()] if whom != "others" else []), *(others if whom != "me" else [])]
        is_allowed = _may_test(session, issue, has_others=whom != "me")
        if is_allowed:
            issue_release.ask_for_test(session, services().sealer, issue, readers)
    tested = whom if is_allowed else "later"
    return redirect(url_for(".release", public_id=public_id, tested=tested), 303)


def _may_test(session: Session, issue: Newsletter, *, has_others: bool) -> bool:
    """Count a test for its lead, and for the group where it goes to others too."""
    own = limit_key(f"test/{signed_in().public_id}"), TEST_RATE
    of_group = limit_key(f"test-others/{issue.group.public_id}"), TO_COLLEAGUES_RATE
    uses = [own, *([of_group] if has_others else [])]
    return rate_limits.try_uses(session, uses, now(), Limit)


@releases.post("/undo")
@for_leads
def undo(public_id: str) -> ResponseReturnValue:
    with transaction() as session:
        issue_release.undo(session, _issue(session, public_id))
    return redirect(url_for(".sending", public_id=public_id), 303)


@releases.post("/pause")
@for_leads
def pause(public_id: str) -> ResponseReturnValue:
    with transaction() as session:
        _ask(session, public_id, issue_release.pause)
    return redirect(url_for(".sending", public_id=public_id), 303)


@releases.post("/resume")
@for_leads
def resume(public_id: str) -> ResponseReturnValue:
    with transaction() as session:
        _ask(session, public_id, issue_release.resume)
    return redirect(url_for(".sending", public_id=public_id), 303)


@releases.route("/stop", methods=["GET", "POST"])
@for_leads
def stop(public_id: str) -> ResponseReturnValue:
    """Ask on GET; on POST stop for good."""
    form = EmptyForm()
    with transaction() as session:
        issue = _issue(session, public_id)
        if form.validate_on_submit():
            issue_release.ask(session, services().sealer, issue, issue_release.stop)
            return redirect(url_for(".sending", public_id=public_id), 303)
        return _page("stop", issue, form=form)


@releases.get("/sending")
@for_leads
def sending(public_id: str) -> str:
    """Show where an issue stands, and when it has gone out what became of it."""
    with transaction() as session:
        issue = _issue(session, public_id)
        status = issue_release.issue_status(session, issue)
        return _page(
            "sending",
            issue,
            status=status,
            sentences=issue_progress.report(issue, status),
            progress=issue_progress.progress(issue, status, services().settings.send_rate),
            percent=issue_progress.percent(status),
            tells=issue_progress.identifying(issue, status),
            unfit=issue_progress.unfit(issue, status),
            lacks_yes=status.state == "held" and approval.is_needed(session, issue),
        )


@releases.get("/sending/state")
@for_leads
def state(public_id: str) -> ResponseReturnValue:
    """Tell the page's script what to show; the page works without it."""
    with transaction() as session:
        issue = _issue(session, public_id)
        status = issue_release.issue_status(session, issue)
        return {
            "state": status.state,
            "percent": issue_progress.percent(status),
            "words": issue_progress.progress(issue, status, services().settings.send_rate),
            "results": issue_progress.report(issue, status),
        }


@releases.get("/read")
@for_leads
def read(public_id: str) -> str:
    """Show an issue's words in each language; when it was sent, and by whom."""
    with transaction() as session:
        issue = _issue(session, public_id)
        versions = issue_preview.versions(issue, partial(_image_url, public_id))
        said = issue_progress.credits_of(session, issue, signed_in())
        is_open = issue.group.has_newsletters
        return _page("read", issue, versions=versions, credits=said, is_open=is_open)


def _release_page(
    session: Session, issue: Newsletter, form: ReleaseForm, findings: list[tuple[str, bool]]
) -> str:
    others = issue_release.other_leads(session, issue, signed_in())
    members = issue.group.members_shown
    shown = {"form": form, "findings": findings, "members": members, "others": len(others)}
    is_asked = approval.is_open(session, issue)
    needs_yes = approval.is_needed(session, issue)
    return _page("release", issue, is_asked=is_asked, needs_yes=needs_yes, **shown)


def _image_url(public_id: str, image: Image) -> str:
    return url_for("pictures.show", public_id=public_id, picture_id=image.public_id)


def _ask(session: Session, public_id: str, verb: issue_release.Verb) -> None:
    issue_release.ask(session, services().sealer, _issue(session, public_id), verb)


def _issue(session: Session, public_id: str) -> Newsletter:
    return newsletters.find_issue_for_lead(session, signed_in(), public_id)


def _page(name: str, issue: Newsletter, **context: object) -> str:
    shown = group_view(issue.group, request_language())
    return render_template(f"releases/{name}.html", issue=issue, group=shown, **context)


@approvals.route("/newsletters/<public_id>/approve", methods=["GET", "POST"])
@for_second_lead
@fresh_proof
def approve(public_id: str) -> ResponseReturnValue:
    """Show on GET what is asked for; on POST let it go out."""
    form = EmptyForm()
    with transaction() as session:
        issue = _issue(session, public_id)
        if form.validate_on_submit():
            asking.approve(session, issue, signed_in(), request.form.get("seen", ""))
            return redirect(url_for("releases.sending", public_id=public_id), 303)
        return _approval_page(session, issue, form)


@approvals.post("/newsletters/<public_id>/decline")
@for_leads
def decline(public_id: str) -> ResponseReturnValue:
    with transaction() as session:
        asking.decline(session, _issue(session, public_id))
    return redirect(url_for("editor.write", public_id=public_id), 303)


@approvals.route("/groups/<slug>/second-ok", methods=["GET", "POST"])
@for_leads
def setting(slug: str) -> ResponseReturnValue:
    """Say whether a group's newsletters need a second leader's yes; a lead may turn it on."""
    form = EmptyForm()
    with transaction() as session:
        group = accounts.group_for_lead(session, signed_in(), slug)
        if form.validate_on_submit():
            asking.turn_on(session, group)
            return redirect(url_for(".setting", slug=slug, saved=1), 303)
        shown = {
            "group": group_view(group, request_language()),
            "is_wanted": approval.is_wanted(session, group),
            "has_two": len(accounts.leads_of(session, group)) >= approval.TWO,
        }
    return render_template("approvals/setting.html", form=form, **shown)


def _approval_page(session: Session, issue: Newsletter, form: EmptyForm) -> str:
    found, is_open = issue.approval, approval.is_open(session, issue)
    return render_template(
        "approvals/approve.html",
        issue=issue,
        group=group_view(issue.group, request_language()),
        form=form,
        found=found,
        is_open=is_open,
        is_mine=found is not None and found.asked_by == signed_in().id,
        state=issue_release.issue_status(session, issue).state,
        expires_at=found.asked_at + approval.REQUEST_AGE if found else None,
        seen=found.digest.hex() if found else "",
        members=issue.group.members_shown,
        versions=issue_preview.versions(issue, partial(_image_url, issue.public_id)),
    )
