"""Releasing and watching: for the leads of the issue's group alone."""

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy.orm import Session

from belong_mail.accounts.session import signed_in
from belong_mail.current import parts, transaction
from belong_mail.groups.cards import card
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from belong_mail.releases import service, words
from belong_mail.releases.forms import PressForm, ReleaseForm

releases = Blueprint("releases", __name__, url_prefix="/lead/newsletters/<public_id>")


@releases.route("/release", methods=["GET", "POST"])
def release(public_id: str) -> ResponseReturnValue:
    form = ReleaseForm()
    with transaction() as session:
        issue = _issue(session, public_id)
        findings = words.findings(issue)
        is_ready = not any(is_refusal for _words, is_refusal in findings)
        if form.validate_on_submit() and is_ready:
            service.release(session, issue, form.due_at())
            return redirect(url_for(".sending", public_id=public_id), 303)
        members = service.rounded_members(session, issue.group)
        page = _page("release", issue, form=form, members=members, findings=findings)
    return page, 422 if form.is_submitted() else 200


@releases.post("/test")
def test(public_id: str) -> ResponseReturnValue:
    with transaction() as session:
        service.ask_for_test(session, _issue(session, public_id), signed_in().id)
    return redirect(url_for(".release", public_id=public_id, tested=1), 303)


@releases.post("/undo")
def undo(public_id: str) -> ResponseReturnValue:
    with transaction() as session:
        service.undo(session, _issue(session, public_id))
    return redirect(url_for(".sending", public_id=public_id), 303)


@releases.post("/pause")
def pause(public_id: str) -> ResponseReturnValue:
    with transaction() as session:
        service.pause(session, _issue(session, public_id))
    return redirect(url_for(".sending", public_id=public_id), 303)


@releases.post("/resume")
def resume(public_id: str) -> ResponseReturnValue:
    with transaction() as session:
        service.resume(session, _issue(session, public_id))
    return redirect(url_for(".sending", public_id=public_id), 303)


@releases.route("/stop", methods=["GET", "POST"])
def stop(public_id: str) -> ResponseReturnValue:
    """Ask on GET; on POST stop for good."""
    form = PressForm()
    with transaction() as session:
        issue = _issue(session, public_id)
        if form.validate_on_submit():
            service.stop(session, issue)
            return redirect(url_for(".sending", public_id=public_id), 303)
        return _page("stop", issue, form=form)


@releases.get("/sending")
def sending(public_id: str) -> str:
    """Show where an issue stands, and when it has gone out what became of it."""
    with transaction() as session:
        issue = _issue(session, public_id)
        standing = service.standing(session, issue)
        return _page(
            "sending",
            issue,
            standing=standing,
            sentences=words.report(standing),
            progress=words.progress(issue, standing, parts().settings.send_rate),
            percent=words.percent(standing),
        )


@releases.get("/sending/state")
def state(public_id: str) -> ResponseReturnValue:
    """Tell the page's script what to show; the page works without it."""
    with transaction() as session:
        issue = _issue(session, public_id)
        standing = service.standing(session, issue)
        progress = words.progress(issue, standing, parts().settings.send_rate)
    return {
        "state": standing.state,
        "percent": words.percent(standing),
        "words": progress,
    }


def _issue(session: Session, public_id: str) -> Newsletter:
    return newsletters.find_led(session, signed_in(), public_id)


def _page(name: str, issue: Newsletter, **context: object) -> str:
    shown = card(issue.group, str(get_locale()))
    return render_template(f"releases/{name}.html", issue=issue, group=shown, **context)
