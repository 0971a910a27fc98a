"""My groups: asking for the link, and what stands behind it. The link's secret is the authority."""

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from belong_mail import languages
from belong_mail.current import parts, transaction, when_admitted
from belong_mail.db import now
from belong_mail.forms import PauseForm
from belong_mail.groups.cards import card
from belong_mail.meetings import service as meetings
from belong_mail.meetings import words
from belong_mail.memberships import service
from belong_mail.memberships.forms import AskForm
from belong_mail.subscriptions import service as subscriptions
from belong_mail.subscriptions.models import Subscription
from belong_mail.tokens import BadToken

memberships = Blueprint("memberships", __name__)

NEXT = 3
"""Meetings that stand beside each group."""


@memberships.errorhandler(BadToken)
def over(_error: BadToken) -> tuple[str, int]:
    """Old, bent or unknown: one page, which offers a new link."""
    return render_template("memberships/over.html", is_private=True), 404


@memberships.route("/my-groups", methods=["GET", "POST"])
def ask() -> ResponseReturnValue:
    form = AskForm()
    if form.is_sent():
        address, language = form.email.data or "", str(get_locale())
        with transaction() as session:
            due_at = when_admitted(session)
            service.ask(session, parts().sealer, address, language, due_at, is_staff=form.is_staff)
        return redirect(url_for(".sent"), 303)
    return render_template("memberships/ask.html", form=form), 422 if form.errors else 200


@memberships.get("/my-groups/sent")
def sent() -> str:
    return render_template("memberships/sent.html")


@memberships.get("/my-groups/<secret>")
def sheet(secret: str) -> str:
    with transaction() as session:
        return _sheet(session, secret)


@memberships.post("/my-groups/<secret>/leave")
def leave(secret: str) -> Response:
    with transaction() as session:
        subscriptions.leave(session, _chosen(session, secret))
    return _back(secret, "leave")


@memberships.post("/my-groups/<secret>/undo")
def undo(secret: str) -> Response:
    with transaction() as session:
        subscriptions.come_back(session, _chosen(session, secret))
    return _back(secret, "undo")


@memberships.post("/my-groups/<secret>/pause")
def pause(secret: str) -> ResponseReturnValue:
    """Pause one membership, or end its pause; a day that cannot be is asked for again."""
    with transaction() as session:
        public_id = _to_pause(session, secret)
        if public_id is None:
            return _sheet(session, secret)
        form = _pause_form(public_id)
        if form.is_resume:
            subscriptions.resume(session, public_id)
        elif form.validate_on_submit():
            subscriptions.pause(session, public_id, form.moment)
        else:
            return _sheet(session, secret, form), 422 if form.errors else 200
    return _back(secret, "resume" if form.is_resume else "pause")


@memberships.post("/my-groups/<secret>/language")
def language(secret: str) -> Response:
    code = request.form.get("language", "")
    if code not in languages.NAMES:
        abort(400)
    with transaction() as session:
        subscriptions.speak(session, _chosen(session, secret), code)
    return _back(secret, "language")


@memberships.post("/my-groups/<secret>/remind")
def remind(secret: str) -> Response:
    """Mail the member the day before a meeting of one group, or do so no more."""
    is_wanted = request.form.get("remind") == "yes"
    with transaction() as session:
        subscriptions.remind(session, _chosen(session, secret), is_wanted=is_wanted)
    return _back(secret, "remind" if is_wanted else "no-remind")


@memberships.post("/my-groups/<secret>/copy")
def copy(secret: str) -> Response:
    with transaction() as session:
        language = str(get_locale())
        service.ask_worker(session, parts().sealer, "my-copy", secret, language=language)
    return _back(secret, "copy")


@memberships.route("/my-groups/<secret>/erase", methods=["GET", "POST"])
def erase(secret: str) -> str:
    with transaction() as session:
        if request.method == "POST":
            service.erase(session, parts().sealer, secret, str(get_locale()))
            return render_template("memberships/erased.html", is_private=True)
        service.open_sheet(session, secret)
    return render_template("memberships/erase.html", secret=secret, is_private=True)


def _chosen(session: Session, secret: str) -> str:
    return service.chosen(session, secret, request.form.get("membership", ""))


def _to_pause(session: Session, secret: str) -> str | None:
    """Name the membership whose button was pressed; with Enter, the only one with a day."""
    if "membership" in request.form:
        return _chosen(session, secret)
    typed = [name for name, day in request.form.items() if name.endswith(":until") and day]
    if len(typed) != 1:
        return None
    return service.chosen(session, secret, typed[0].removesuffix(":until"))


def _pause_form(public_id: str) -> PauseForm:
    """Make one membership's part of the form; so the language button keeps every day typed."""
    return PauseForm(prefix=f"{public_id}:")


def _back(secret: str, done: str) -> Response:
    return redirect(url_for(".sheet", secret=secret, done=done), 303)


def _sheet(session: Session, secret: str, form: PauseForm | None = None) -> str:
    """Show the sheet; a form with an error stands at the membership it was sent for."""
    listed = service.open_sheet(session, secret)
    held = [_shown(session, each, form) for each in service.shown(session, listed)]
    return render_template(
        "memberships/sheet.html",
        secret=secret,
        until=listed.until,
        held=held,
        form=form,
        done=request.args.get("done"),
        is_private=True,
    )


def _shown(
    session: Session, subscription: Subscription, form: PauseForm | None
) -> dict[str, object]:
    zone, language = parts().settings.timezone, str(get_locale())
    own = _pause_form(subscription.public_id)
    coming = meetings.coming(session, zone, now(), NEXT, subscription.group)
    return {
        "public_id": subscription.public_id,
        "card": card(subscription.group, language),
        "since": subscription.confirmed_at,
        "is_active": subscription.is_active,
        "paused_until": subscription.pause,
        "language": subscription.language,
        "is_reminded": subscription.is_reminded,
        "meetings": [words.shown(each, language, is_member=True) for each in coming],
        "form": form if form and form.until.name == own.until.name else own,
    }
