"""Joining and leaving. Every mailed link asks on GET and acts on POST."""

import time

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from belong_mail import languages
from belong_mail.accounts import service as accounts
from belong_mail.current import looking, parts, transaction, when_admitted
from belong_mail.db import now
from belong_mail.forms import PauseForm
from belong_mail.groups import service as groups
from belong_mail.groups.cards import Card, card
from belong_mail.groups.models import Group
from belong_mail.meetings import service as meetings
from belong_mail.meetings import words
from belong_mail.subscriptions import service
from belong_mail.subscriptions.forms import form_for
from belong_mail.subscriptions.models import Subscription
from belong_mail.tokens import Purpose

subscriptions = Blueprint("subscriptions", __name__)
"""Its pages behind a token need no cookie; the token is the authority."""


@subscriptions.route("/groups/<slug>/join", methods=["GET", "POST"])
def join(slug: str) -> ResponseReturnValue:
    with looking() as session:
        group = groups.find(session, slug) or abort(404)
        if not group.is_open:
            abort(404)
        form = form_for(group, has_leads=bool(accounts.leads_of(session, group)))
        if not form.is_sent():
            page = render_template("subscriptions/join.html", group=_shown(group), form=form)
            return page, 422 if form.errors else 200
    wanted = form.wanted()
    with transaction() as session:
        service.ask(session, parts().sealer, group, wanted, when_admitted(session))
    return redirect(url_for(".check_your_inbox"), 303)


@subscriptions.get("/check-your-inbox")
def check_your_inbox() -> str:
    return render_template(
        "subscriptions/check_your_inbox.html",
        mail_subject=_("One tap to confirm"),
        after=f"{time.time_ns():020}",
    )


@subscriptions.route("/confirm/<token>", methods=["GET", "POST"])
def confirm(token: str) -> str:
    confirm_id = parts().tokens.read(Purpose.CONFIRM, token)
    with transaction() as session:
        if request.method == "POST":
            subscription = service.confirm(session, confirm_id)
            return _page("welcome", subscription.group, meetings=_next(session, subscription))
        wish = service.find_wish(session, confirm_id)
        refuse = parts().tokens.sign(Purpose.REFUSE, wish.subscription.public_id, now())
        return _page(
            "confirm",
            wish.subscription.group,
            action=url_for(".confirm", token=token),
            is_introduced=wish.wrapped_introduction is not None,
            not_me_url=url_for(".not_me", token=refuse),
        )


@subscriptions.route("/not-me/<token>", methods=["GET", "POST"])
def not_me(token: str) -> str:
    public_id = parts().tokens.read(Purpose.REFUSE, token)
    with transaction() as session:
        if request.method == "POST":
            is_for_ever = request.form.get("choice") == "never"
            service.refuse(session, public_id, is_for_ever=is_for_ever)
            choice = "never" if is_for_ever else "forget"
            return render_template("subscriptions/not_me_done.html", choice=choice, is_private=True)
        subscription = service.look_at(session, public_id)
        return _page("not_me", subscription.group, action=url_for(".not_me", token=token))


@subscriptions.route("/leave/<token>", methods=["GET", "POST"])
def leave(token: str) -> str:
    public_id = parts().tokens.read(Purpose.LEAVE, token)
    with transaction() as session:
        if request.method != "POST":
            return _manage(service.look_at(session, public_id))
        subscription = service.leave(session, public_id)
        undo = ""
        if service.can_come_back(subscription):
            undo = parts().tokens.sign(Purpose.UNDO_LEAVE, public_id, now())
        return _page("left", subscription.group, undo_token=undo)


@subscriptions.post("/leave/<token>/pause")
def pause(token: str) -> ResponseReturnValue:
    """From a newsletter: pause this group's issues, or end the pause."""
    public_id = parts().tokens.read(Purpose.LEAVE, token)
    form = PauseForm()
    with transaction() as session:
        if form.is_resume:
            service.resume(session, public_id)
        elif form.validate_on_submit():
            service.pause(session, public_id, form.moment)
        else:
            return _manage(service.look_at(session, public_id), form), 422 if form.errors else 200
    done = "resume" if form.is_resume else "pause"
    return redirect(url_for(".leave", token=token, done=done), 303)


@subscriptions.post("/leave/<token>/language")
def language(token: str) -> ResponseReturnValue:
    """From a newsletter: this group's mails in another language."""
    public_id = parts().tokens.read(Purpose.LEAVE, token)
    code = request.form.get("language", "")
    if code not in languages.NAMES:
        abort(400)
    with transaction() as session:
        service.speak(session, public_id, code)
    return redirect(url_for(".leave", token=token, done="language"), 303)


@subscriptions.post("/leave/<token>/remind")
def remind(token: str) -> ResponseReturnValue:
    """From a newsletter: a mail the day before this group's meetings, or none any more."""
    public_id = parts().tokens.read(Purpose.LEAVE, token)
    is_wanted = request.form.get("remind") == "yes"
    with transaction() as session:
        service.remind(session, public_id, is_wanted=is_wanted)
    done = "remind" if is_wanted else "no-remind"
    return redirect(url_for(".leave", token=token, done=done), 303)


@subscriptions.route("/undo/<token>", methods=["GET", "POST"])
def undo(token: str) -> str:
    public_id = parts().tokens.read(Purpose.UNDO_LEAVE, token)
    with transaction() as session:
        if request.method == "POST":
            return _page("back", service.come_back(session, public_id).group)
        subscription = service.look_at(session, public_id)
        return _page("left", subscription.group, undo_token=token)


@subscriptions.route("/one-click/<token>", methods=["GET", "POST"])
def one_click(token: str) -> ResponseReturnValue:
    """Leave by the mailbox provider's own button (RFC 8058): no cookie, no page, no redirect."""
    public_id = parts().tokens.read(Purpose.ONE_CLICK, token)
    with transaction() as session:
        if request.method == "POST":
            if "List-Unsubscribe" not in request.form:
                abort(400)
            service.leave_if_there(session, public_id)
            return "", 204
        return _manage(service.look_at(session, public_id))


def _manage(subscription: Subscription, form: PauseForm | None = None) -> str:
    """Show what can be done from a newsletter: this group only, for mail is forwarded."""
    return _page(
        "leave",
        subscription.group,
        token=parts().tokens.sign(Purpose.LEAVE, subscription.public_id, now()),
        form=form or PauseForm(formdata=None),
        paused_until=subscription.pause,
        mail_language=subscription.language,
        is_reminded=subscription.is_reminded,
        done=request.args.get("done"),
    )


def _page(name: str, group: Group, **context: object) -> str:
    return render_template(
        f"subscriptions/{name}.html", group=_shown(group), is_private=True, **context
    )


def _next(session: Session, subscription: Subscription) -> list[words.Shown]:
    """Say the next meeting to somebody who has just become a member."""
    found = meetings.next_held(session, parts().settings.timezone, now(), 1, subscription.group)
    return [words.shown(each, str(get_locale()), is_member=True) for each in found]


def _shown(group: Group) -> Card:
    return card(group, str(get_locale()))
