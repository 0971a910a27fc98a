"""The office's pages: threads, addresses, settings, people, and the audit trail."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from itertools import groupby
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from flask import Blueprint, abort, redirect, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from belong_mail.accounts import people as verbs
from belong_mail.accounts import service as accounts
from belong_mail.accounts.models import OFFICE, Account
from belong_mail.accounts.session import signed_in
from belong_mail.contact import threads as receipts
from belong_mail.contact.jobs import ResendMessages
from belong_mail.contact.models import Thread
from belong_mail.core import site_settings
from belong_mail.core.audit import AuditEntry, Kind
from belong_mail.groups import header_words
from belong_mail.groups import service as groups
from belong_mail.members import service as members
from belong_mail.members.service import TooManyRemovals
from belong_mail.office import service, trail
from belong_mail.office.forms import (
    AnswerForm,
    InviteForm,
    NameForm,
    RemovalForm,
    SettingsForm,
    TrailForm,
    kind_in_words,
)
from belong_mail.web.access import for_office, fresh_proof
from belong_mail.web.context import services
from belong_mail.web.language import format_number
from belong_mail.web.language import gettext as _
from belong_mail.web.page import Page, page

office = Blueprint("office", __name__, url_prefix="/office")


@office.route("/threads/<reference>", methods=["GET", "POST"])
@for_office(reference=service.find)
def thread(session: Session, found: Thread) -> ResponseReturnValue:
    form = AnswerForm()
    if form.validate_on_submit():
        receipts.add_entry(session, found, form.answer.data or "", is_office=True)
        return redirect(url_for(".thread", reference=found.reference, done="answered"), 303)
    return page("office/thread.html", thread=service.thread_status(session, found), form=form)


@office.post("/resend")
@for_office
def resend(session: Session) -> ResponseReturnValue:
    ResendMessages().write(session)
    return redirect(url_for(".home", done="resent"), 303)


@office.route("/addresses", methods=["GET", "POST"])
@for_office
def addresses(session: Session) -> ResponseReturnValue:
    """Remove an address from a group; the answer does not reveal whether it was a member."""
    form, is_too_many = RemovalForm(), False
    form.offer(groups.listed(session))
    if form.validate_on_submit():
        found = service.find_group(session, form.group.data)
        address, what = form.email.data or "", form.what.data
        try:
            members.ask_to_remove(session, services().sealer, found, address, what)
            return redirect(url_for(".addresses", done="entered"), 303)
        except TooManyRemovals:
            is_too_many = True
    status = 429 if is_too_many else 0
    return page("office/addresses.html", status, form=form, is_too_many=is_too_many)


@office.route("/settings", methods=["GET", "POST"])
@for_office
@fresh_proof
def settings(session: Session) -> ResponseReturnValue:
    """Change the site settings; the worker notifies the whole office."""
    ours = services().settings
    current = site_settings.with_changes(session, ours)
    form = SettingsForm(current, header_words.site_words(session))
    if form.validate_on_submit():
        form.change(session, ours)
        return redirect(url_for(".settings", done="saved"), 303)
    return page("office/settings.html", form=form, team=verbs.team_of(session, None))


people = Blueprint("people", __name__, url_prefix="/office/leads")


@people.route("/invite", methods=["GET", "POST"])
@for_office
@fresh_proof
def invite(session: Session) -> ResponseReturnValue:
    place = request.args.get("group", "")
    form = InviteForm.about(groups.listed(session), place)
    if place != OFFICE and form.only is None:
        place = ""
    if form.validate_on_submit():
        verbs.invite(session, services().sealer, form.asked(signed_in()))
        return _told(_team_page(place, "invited"), "invited", form.name.data)
    shown = {"form": form, "back": _team_page(place), "from_settings": place == OFFICE}
    return page("office/invite.html", **shown)


def _team_page(place: str, done: str | None = None) -> str:
    """Return the address of the page that lists a group's leaders or the office's people.

    `place` is the group's slug or “office”; without one it is the page of all groups.
    """
    if place == OFFICE:
        return url_for("office.settings", done=done)
    if place:
        return url_for("office_groups.group", slug=place, done=done)
    return url_for("office_groups.listed", done=done)


@people.route("/<account_id>", methods=["GET", "POST"])
@for_office(account_id=verbs.find_person)
def person(session: Session, found: Account) -> ResponseReturnValue:
    """Show someone's roles; on POST change the name that the office gave them."""
    form = NameForm(obj=found)
    if form.validate_on_submit():
        accounts.rename(session, found, form.name.data or "")
        return redirect(url_for(".person", account_id=found.public_id, done="saved"), 303)
    roles, is_other = accounts.rights_of(session, found), found.id != signed_in().id
    may_be_let_in = is_other and verbs.needs_more_than_email(session, found)
    shown = {"person": found, "form": form, "roles": roles, "may_be_let_in": may_be_let_in}
    return page("office/person.html", **shown)


@people.post("/<account_id>/<verb>")
@for_office(account_id=verbs.find_account)
@fresh_proof
def do(session: Session, found: Account, verb: str) -> ResponseReturnValue:
    """Do what the pressed button says; redirect to the team if the person has left it."""
    roles, role, done = accounts.rights_of(session, found), request.form.get("role"), verb
    if not roles:  # A colleague was faster.
        return _told(_team_page(role or "", "gone"), "gone", found.name)
    place = role or (roles[0].group.slug if roles[0].group else OFFICE)
    try:
        _do(session, found, verb, role or "")
    except verbs.LastOfficeAccount:  # Raised before anything was changed.
        done = "last"
    page = url_for(".person", account_id=found.public_id, done=done, role=role)
    if done == "remove" or not accounts.rights_of(session, found):
        page = _team_page(place, done)
    return _told(page, done, found.name)


def _told(page: str, done: str, name: str | None) -> ResponseReturnValue:
    """Redirect to the page that says what was done; the cookie has the name for it alone."""
    cookie["told"] = [urlsplit(page).path, done, name]
    return redirect(page, 303)


def _do(session: Session, found: Account, verb: str, role: str) -> None:
    """Run a verb; “remove” and “restore” have a role: a group's slug or “office”."""
    by, sealer, slug = signed_in(), services().sealer, None if role == OFFICE else role
    verbs_by_name: dict[str, Callable[[], None]] = {
        "again": partial(verbs.invite_again, session, sealer, by, found),
        "withdraw": partial(verbs.withdraw, session, found),
        "remove": partial(verbs.remove, session, sealer, by, found, slug),
        "restore": partial(verbs.restore, session, sealer, by, found, role),
        "let_in": partial(verbs.let_in, session, sealer, by, found),
        "sign_out": partial(verbs.end_sessions, session, found),
    }
    if verb not in verbs_by_name:
        abort(404)
    if verb in ("remove", "restore") and not role:
        abort(400)
    verbs_by_name[verb]()


office_trail = Blueprint("office_trail", __name__, url_prefix="/office")


@office_trail.get("/audit")
@for_office
def entries(session: Session) -> Page:
    form = TrailForm(request.args)
    form.offer(trail.groups_in(session))
    before, zone = request.args.get("before", type=int), services().settings.timezone
    found, older = trail.find(session, zone, before, **form.wanted())
    accounts = _accounts(session, found)
    return page(
        "office/trail.html",
        form=form,
        found=found,
        runs=groupby(found, partial(_heading, accounts, zone)),
        older=older,
        readable=trail.readable(session, found),
        groups=dict(form.group.choices),
        accounts=accounts,
        about=_about,
        reference=trail.reference,
        in_words=kind_in_words,
    )


def _accounts(session: Session, entries: Sequence[AuditEntry]) -> dict[str, str]:
    """Return the name of each account, or its reference."""
    named = trail.accounts_in(session, entries)
    called = {
        public_id: name or _("Account %(reference)s", reference=trail.reference(public_id))
        for public_id, name in named.items()
    }
    own = signed_in().public_id
    if own in called:
        called[own] += f" {_('(you)')}"
    return called


def _heading(
    accounts: Mapping[str, str], zone: ZoneInfo, entry: AuditEntry
) -> tuple[date, str, str | None]:
    """Return what entries below one heading have in common: day, author and the author's id."""
    # Roles apart: the web may write any text as an account's id, but not the role of an operator.
    who = accounts[entry.actor] if entry.actor else _(trail.ROLES.get(entry.role, entry.role))
    return entry.at.astimezone(zone).date(), who, entry.actor


def _about(entry: AuditEntry) -> str:
    """Return an entry's detail in words, or "" if it is an id."""
    detail = entry.detail or ""
    if entry.kind == Kind.COMMAND_RUN:
        return detail.replace("-", " ")
    kind, _dash, number = detail.partition("-")
    if kind == "about" and number.isdecimal():
        return _("about %(number)s", number=format_number(int(number)))
    return _(trail.DETAILS[detail]) if detail in trail.DETAILS else ""
