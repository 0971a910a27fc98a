"""Pages to join with a staff or personal address, to leave, and of the waiting list."""

from contextlib import suppress
from dataclasses import replace

from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from belong_mail.accounts import service as accounts
from belong_mail.core.db import new_public_id, now
from belong_mail.core.tokens import BadToken, Purpose, TokenExpired
from belong_mail.core.translatable import gettext_noop
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group
from belong_mail.groups.pages import group_page
from belong_mail.groups.presenters import group_view
from belong_mail.meetings import formatting
from belong_mail.meetings import service as meetings
from belong_mail.members import service as members
from belong_mail.members import staff_codes
from belong_mail.members.forms import (
    JoinForm,
    PressForm,
    StaffCodeForm,
    TellMeForm,
    form_for,
)
from belong_mail.members.jobs import SendStaffCode, Signup
from belong_mail.members.models import Subscription
from belong_mail.members.self_service import calendar_name
from belong_mail.web.access import from_anywhere, no_cookie, public
from belong_mail.web.context import asking_source, read_transaction, services, throttle, transaction
from belong_mail.web.language import gettext as _
from belong_mail.web.language import request_language
from belong_mail.web.page import Page, page

# Pages with a token in their URL need no cookie: the token is the authority.
subscriptions = Blueprint("subscriptions", __name__)
# The value of `done` for a member's button that came too late.
TOO_LATE = "too-late"


@subscriptions.route("/groups/<slug>/join", methods=["GET", "POST"])
@public
@no_cookie
def join(slug: str) -> ResponseReturnValue:
    with read_transaction() as session:
        group = _joinable(groups.find_unless_ended(session, slug))
        form = _form(session, group)
        if not form.is_sent():
            return _page("join", group, form=form)
    return _ask_to_join(group, replace(form.wanted(), source=asking_source()))


def _form(session: Session, group: Group, nonce: str = "") -> JoinForm:
    return form_for(group, nonce, has_leads=bool(accounts.leads_of(session, group)))


def _joinable(group: Group | None) -> Group:
    """Return a group that can be joined; else show that it ends, or answer 404."""
    if group is None:
        abort(404)
    groups.require_not_ending(group)
    if not group.is_open:
        abort(404)
    return group


def _ask_to_join(group: Group, wanted: Signup) -> ResponseReturnValue:
    """Queue the sign-up; the next page is the same for everyone."""
    with transaction() as session:
        members.ask_to_join(session, services().sealer, group, wanted, throttle(session))
    asked = services().tokens.sign(Purpose.CHECK_INBOX, group.public_id, now())
    return redirect(url_for("subscriptions.check_your_inbox", asked=asked), 303)


@subscriptions.get("/check-your-inbox")
@subscriptions.get("/check-your-inbox/<asked>")
@public
def check_your_inbox(session: Session, asked: str = "") -> Page:
    """Say what happens next, from the signed group in the URL alone."""
    context: dict[str, object] = {"mail_subject": _("Confirm your request to %(site_name)s")}
    with suppress(BadToken):
        group = groups.by_public_id(session, services().tokens.read(Purpose.CHECK_INBOX, asked))
        context["group"] = group and group_view(group, request_language())
    return page("subscriptions/check_your_inbox.html", **context)


@subscriptions.route("/confirm/<token>", methods=["GET", "POST"])
@public
@no_cookie
def confirm(session: Session, token: str) -> ResponseReturnValue:
    """Ask on GET, join on POST; a used link shows the result."""
    secret, refusal = _read_confirmation(token)
    try:
        if request.method == "POST":
            joined = members.confirm(session, services().sealer, secret).public_id
            shown = services().tokens.sign(Purpose.WELCOME, joined, now())
            return redirect(url_for(".welcome", token=shown), 303)
        pending = members.find_pending(session, secret)
    except BadToken:
        public_id = members.split_refusal_name(refusal)[0]
        subscription = members.outcome_of_request(session, public_id)
        is_refused = request.method == "POST" and not subscription.is_active
        return _outcome_page(subscription, refusal, 409 if is_refused else 200)
    is_introduced = pending.wrapped_introduction is not None
    return _confirmation_page(pending.subscription, refusal, is_introduced=is_introduced)


@subscriptions.get("/welcome/<token>")
@public
def welcome(session: Session, token: str) -> Page:
    """Welcome a new member with what only members see; after an hour, show only the result."""
    try:
        public_id, is_new = services().tokens.read(Purpose.WELCOME, token), True
    except TokenExpired as error:
        public_id, is_new = error.public_id, False
    subscription = members.outcome_of_request(session, public_id)
    if not is_new or not subscription.is_active:
        return _outcome_page(subscription, subscription.public_id)
    own, group = calendar_name(subscription), subscription.group
    coming = meetings.next_held(session, services().settings.timezone, now(), 1, group)
    language = request_language()
    return _page(
        "welcome",
        group,
        meetings=[formatting.meeting_view(each, language, is_member=True) for each in coming],
        calendar=services().tokens.sign(Purpose.MEMBER_CALENDAR, own, now()),
    )


def _read_confirmation(token: str) -> tuple[str, str]:
    """Return a confirmation's secret and its token to refuse it; if expired, only the token."""
    try:
        return members.split_confirmation_name(services().tokens.read(Purpose.CONFIRM, token))
    except TokenExpired as error:
        return "", members.split_confirmation_name(error.public_id)[1]


def _confirmation_page(
    subscription: Subscription, refusal: str, *, is_introduced: bool = False
) -> Page:
    """Ask whether to join, or to introduce a member; tell other members that they are members."""
    refuse = services().tokens.sign(Purpose.REFUSE, refusal, now())
    return _page(
        "already" if subscription.is_active and not is_introduced else "confirm",
        subscription.group,
        action=url_for(".confirm", **(request.view_args or {})),
        is_introduced=is_introduced,
        is_member=subscription.is_active,
        not_me_url=url_for(".not_me", token=refuse),
    )


def _outcome_page(subscription: Subscription, refusal: str, status: int = 200) -> Page:
    """Show the result of a sign-up that was confirmed, refused or left."""
    if subscription.is_active:
        return _confirmation_page(subscription, refusal)
    if subscription.confirmed_at:
        return _left_page(subscription, status)
    group = subscription.group
    is_never = subscription.is_suppressed
    return _page("canceled", group, status, can_join=group.is_open, is_never=is_never)


@subscriptions.route("/not-me/<token>", methods=["GET", "POST"])
@public
@no_cookie
def not_me(session: Session, token: str) -> ResponseReturnValue:
    name = services().tokens.read(Purpose.REFUSE, token)
    public_id, secret = members.split_refusal_name(name)
    if request.method == "POST":
        never = secret if request.form.get("choice") == "never" else ""
        members.reject(session, services().sealer, public_id, never)
        return redirect(url_for(".not_me", token=token, pressed=1), 303)
    return _not_me_page(session, members.get(session, public_id), can_choose=bool(secret))


def _not_me_page(session: Session, subscription: Subscription, *, can_choose: bool) -> Page:
    """Ask what to do with a sign-up by someone else, or show the result."""
    waiting = members.waiting_request(session, subscription)
    if "pressed" in request.args and not subscription.is_active and not waiting:
        return _rejected_page(session, subscription)
    return _page(
        "not_me",
        subscription.group,
        action=url_for(".not_me", **(request.view_args or {})),
        is_member=subscription.is_active,
        waiting=waiting,
        is_never=subscription.is_suppressed,
        can_choose=can_choose,
    )


def _rejected_page(session: Session, subscription: Subscription) -> Page:
    """Show that a sign-up was withdrawn, or that a member has left."""
    is_never = members.wants_no_email(session, subscription)
    if subscription.confirmed_at and not is_never:
        return _left_page(subscription)
    return page("done.html", what="never" if is_never else "forget")


@subscriptions.get("/leave/<token>")
@public
def manage(session: Session, token: str, form: PressForm | None = None) -> Page:
    """Show what a newsletter's link can do; `form` has a day that was refused."""
    public_id = services().tokens.read(Purpose.LEAVE, token)
    return _manage(members.get(session, public_id), form=form)


@subscriptions.route("/one-click/<token>", methods=["GET", "POST"])
@public
@no_cookie
@from_anywhere
def one_click(session: Session, token: str) -> ResponseReturnValue:
    """Leave by a mailbox provider's button (RFC 8058), without cookie, page or redirect.

    Any other POST shows the page that asks first.
    """
    public_id = services().tokens.read(Purpose.ONE_CLICK, token)
    said = request.form.get("List-Unsubscribe", "").strip()
    if request.method == "POST" and said == "One-Click":
        members.leave_if_there(session, public_id)
        return "", 204
    return _manage(members.get(session, public_id), 400 if request.method == "POST" else 0)


def _left_page(subscription: Subscription, status: int = 0) -> Page:
    """Show that someone has left, and how to come back."""
    return _page(
        "left",
        subscription.group,
        status,
        link={"token": services().tokens.sign(Purpose.LEAVE, subscription.public_id, now())},
        can_undo=members.can_undo_leave(subscription),
        can_join=subscription.group.is_open and not subscription.is_suppressed,
        has_bounced=subscription.is_unreachable,
        is_too_late=request.args.get("done") == TOO_LATE,
    )


def _manage(subscription: Subscription, status: int = 0, form: PressForm | None = None) -> Page:
    """Show what a newsletter's link can do, in this group only, as emails are forwarded."""
    if not subscription.is_active:
        return _left_page(subscription, status)
    if request.args.get("done") == "undo":
        return group_page(
            "done.html", subscription.group, what="back", paused_until=subscription.pause
        )
    return _page(
        "leave",
        subscription.group,
        status,
        link={"token": services().tokens.sign(Purpose.LEAVE, subscription.public_id, now())},
        form=form or PressForm("pause", formdata=None),
        paused_until=subscription.pause,
        mail_language=subscription.language,
        is_reminded=subscription.is_reminded,
    )


def _page(name: str, group: Group, status: int = 0, /, **context: object) -> Page:
    return group_page(f"subscriptions/{name}.html", group, status, **context)


personal_address = Blueprint("personal_address", __name__)
# The subject of the email with the code.
CODE_SUBJECT = gettext_noop("Your code from %(program_name)s")


@personal_address.errorhandler(TokenExpired)
def page_is_old(error: TokenExpired) -> ResponseReturnValue:
    """Show the form with what was typed, and the way to a new code, as its code is expired, too."""
    with read_transaction() as session:
        public_id, nonce = staff_codes.split_page(error.public_id)
        group = groups.by_public_id(session, public_id)
        if group is None:
            return redirect(url_for("directory.index"), 303)
        return _code_page(group, _form(session, group, nonce), is_late=True)


@personal_address.route("/groups/<slug>/join/personal", methods=["GET", "POST"])
@public
@no_cookie
def ask_code(slug: str) -> ResponseReturnValue:
    """Ask for the staff address; the next page is the same for every address."""
    form = StaffCodeForm()
    with read_transaction() as session:
        group = _joinable(groups.find_unless_ended(session, slug))
        if not _is_allowing(group):
            return _page("no_personal", group, 404)
        if not form.is_sent():
            return _page("ask_code", group, form=form)
    nonce, language = new_public_id(), request_language()
    wanted = SendStaffCode(form.email.data or "", language, group.public_id, nonce, asking_source())
    with transaction() as session:
        wanted.ask(session, services().sealer, due_at=throttle(session))
    name = staff_codes.page_name(group, nonce)
    token = services().tokens.sign(Purpose.STAFF_CODE, name, now())
    return redirect(url_for(".join_with_code", token=token), 303)


@personal_address.route("/join-with-code/<token>", methods=["GET", "POST"])
@public
@no_cookie
def join_with_code(token: str) -> ResponseReturnValue:
    name = services().tokens.read(Purpose.STAFF_CODE, token)
    public_id, nonce = staff_codes.split_page(name)
    with read_transaction() as session:
        group = _joinable(groups.by_public_id(session, public_id))
        form = _form(session, group, nonce)
        if not _is_allowing(group):
            if request.method == "POST":  # what was typed stays
                return _code_page(group, form, is_late=True)
            return _page("no_personal", group, 404)
        if not form.is_sent():
            return _code_page(group, form)
    return _ask_to_join(group, form.wanted())


def _code_page(group: Group, form: JoinForm, *, is_late: bool = False) -> Page:
    """Show the form for a staff code, or that its page was open for too long."""
    said = {"is_late": is_late, "mail_subject": _(CODE_SUBJECT)}
    return _page("join_with_code", group, 422 if is_late else 0, form=form, **said)


def _is_allowing(group: Group) -> bool:
    """Return whether a group still accepts personal addresses."""
    return group.is_open and group.allows_personal_addresses


waiting_list = Blueprint("waiting_list", __name__)


@waiting_list.route("/groups/<slug>/tell-me", methods=["GET", "POST"])
@public
@no_cookie
def ask(session: Session, slug: str) -> ResponseReturnValue:
    """Queue the request, sealed; also from a page that was open when the group started."""
    form = TellMeForm()
    group = groups.find_unless_ended(session, slug) or abort(404)
    groups.require_not_ending(group)
    if group.is_open and request.method != "POST":
        return redirect(url_for("subscriptions.join", slug=slug))
    if form.is_sent():
        due_at = throttle(session)
        members.ask_to_join(session, services().sealer, group, form.wanted(), due_at)
        return redirect(url_for(".noted"), 303)
    last_day = members.noon_utc(members.last_day())
    return group_page("waiting_list/ask.html", group, form=form, last_day=last_day)


@waiting_list.get("/noted")
@public
def noted() -> Page:
    return page("waiting_list/noted.html", last_day=members.noon_utc(members.last_day()))


@waiting_list.route("/forget-note/<token>", methods=["GET", "POST"])
@public
@no_cookie
def forget(session: Session, token: str) -> ResponseReturnValue:
    public_id = services().tokens.read(Purpose.FORGET_NOTE, token)
    if request.method == "POST":
        members.ask_to_forget(session, public_id)
        return redirect(url_for(".forgotten"), 303)
    group = members.get_entry(session, public_id).group
    return group_page("confirm.html", group, what="note", action=request.path)


@waiting_list.get("/forget-note/done")
@public
def forgotten() -> Page:
    return page("done.html", what="note")
