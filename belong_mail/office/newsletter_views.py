"""What goes out, for the office: newsletters of all groups, and a stop to a wrong one."""

from collections.abc import Callable
from functools import partial

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy.orm import Session

from belong_mail.accounts.session import signed_in
from belong_mail.groups.presenters import group_view
from belong_mail.newsletters import approval, files, oversight, preview, progress, release
from belong_mail.newsletters.downloads import download
from belong_mail.newsletters.models import Flyer, Image, Newsletter
from belong_mail.office import service
from belong_mail.web.access import for_office, fresh_proof
from belong_mail.web.context import services, transaction

office_newsletters = Blueprint("office_newsletters", __name__, url_prefix="/office/newsletters")
Verb = Callable[[Session, Newsletter], None]


@office_newsletters.get("")
@for_office
def listed() -> str:
    page = max(1, request.args.get("page", 1, type=int))
    with transaction() as session:
        found = service.issues(session, signed_in(), page)
        return render_template("office/newsletters.html", found=found, page=page)


@office_newsletters.get("/<public_id>")
@for_office
def show(public_id: str) -> str:
    """Show where an issue stands, with exact counts, and what can be done about it."""
    with transaction() as session:
        issue = _issue(session, public_id)
        status = release.issue_status(session, issue)
        return _page(
            "newsletter",
            issue,
            status=status,
            progress=progress.progress(issue, status, services().settings.send_rate),
            counts=progress.exact_counts(issue, status),
            credits=progress.credits_of(session, issue, signed_in()),
            tells=progress.telling(issue, status),
            unfit=progress.unfit(issue, status),
            needs_yes=approval.is_needed(session, issue),
        )


@office_newsletters.get("/<public_id>/read")
@for_office
def read(public_id: str) -> str:
    with transaction() as session:
        issue = _issue(session, public_id)
        return _page(
            "newsletter_read", issue, versions=preview.versions(issue, partial(_image_url, issue))
        )


@office_newsletters.get("/<public_id>/pictures/<picture_id>")
@for_office
def picture(public_id: str, picture_id: str) -> Response:
    with transaction() as session:
        image = files.find(session, _issue(session, public_id), Image, picture_id)
        return Response(image.content, mimetype=image.media_type)


@office_newsletters.get("/<public_id>/flyers/<flyer_id>")
@for_office
def flyer(public_id: str, flyer_id: str) -> Response:
    with transaction() as session:
        return download(files.find(session, _issue(session, public_id), Flyer, flyer_id))


@office_newsletters.post("/<public_id>/pause")
@for_office
def pause(public_id: str) -> ResponseReturnValue:
    return _do(public_id, release.pause)


@office_newsletters.post("/<public_id>/resume")
@for_office
def resume(public_id: str) -> ResponseReturnValue:
    return _do(public_id, release.resume)


@office_newsletters.route("/<public_id>/stop", methods=["GET", "POST"])
@for_office
def stop(public_id: str) -> ResponseReturnValue:
    """Ask on GET, and say how many copies have left; on POST stop for good."""
    if request.method == "POST":
        return _do(public_id, release.stop)
    return _ask(public_id, "newsletter_stop")


@office_newsletters.route("/<public_id>/send", methods=["GET", "POST"])
@for_office
@fresh_proof
def send(public_id: str) -> ResponseReturnValue:
    """Ask on GET; on POST send what is held."""
    if request.method == "POST":
        return _do(public_id, partial(release.release_held, account_id=signed_in().id))
    return _ask(public_id, "newsletter_send")


@office_newsletters.route("/<public_id>/cancel", methods=["GET", "POST"])
@for_office
def cancel(public_id: str) -> ResponseReturnValue:
    """Ask on GET; on POST turn what is scheduled or held back into a draft of its group's."""
    if request.method == "GET":
        return _ask(public_id, "newsletter_cancel")
    _do(public_id, release.undo)
    return redirect(url_for(".listed", done="canceled"), 303)


def _do(public_id: str, verb: Verb) -> ResponseReturnValue:
    """Do something with an issue, and have the leads of its group told."""
    with transaction() as session:
        issue = _issue(session, public_id)
        verb(session, issue)
        session.refresh(issue)
        oversight.tell_leads(session, services().sealer, issue, signed_in())
    return redirect(url_for(".show", public_id=public_id, done=1), 303)


def _ask(public_id: str, name: str) -> str:
    with transaction() as session:
        issue = _issue(session, public_id)
        status = release.issue_status(session, issue)
        return _page(
            name,
            issue,
            status=status,
            tells=progress.telling(issue, status),
            unfit=progress.unfit(issue, status),
            members=issue.group.members_shown,
        )


def _issue(session: Session, public_id: str) -> Newsletter:
    return service.find_issue(session, signed_in(), public_id)


def _image_url(issue: Newsletter, image: Image) -> str:
    return url_for(".picture", public_id=issue.public_id, picture_id=image.public_id)


def _page(name: str, issue: Newsletter, **context: object) -> str:
    shown = group_view(issue.group, str(get_locale()))
    return render_template(f"office/{name}.html", issue=issue, group=shown, **context)
