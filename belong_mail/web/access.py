"""Access to pages: each view names its own by decorators; without one the app does not start.

    @contact.route("/contact", methods=["GET", "POST"])
    @public
    @no_cookie
    def write() -> ...

    @planning.get("/groups/<slug>/meetings")
    @for_leads(slug=accounts.group_for_lead)
    def listed(session: Session, group: Group) -> ...

A decorator marks the function and returns it, so that above the route it does the same as below.
`web.page` gives a view its session, and what the mark finds by a part of the address.
`tests.web.rights` makes a table of these marks, `docs/rights.md`.
"""

from collections.abc import Callable
from enum import Flag, auto
from typing import Any, Concatenate, TypeVar, overload

from flask import Flask, current_app, request
from flask_wtf import CSRFProtect
from sqlalchemy.orm import Session
from werkzeug.exceptions import Forbidden

View = TypeVar("View")
Found = TypeVar("Found")
Answer = TypeVar("Answer")
# A mark of a view that is given its session and what the mark finds.
Mark = Callable[[Callable[Concatenate[Session, Found, ...], Answer]], Callable[..., Answer]]


class Access(Flag):
    UNSAID = 0
    PUBLIC = auto()
    NO_COOKIE = auto()
    FROM_ANYWHERE = auto()
    DEVELOPMENT = auto()
    ACCOUNTS = auto()
    LEADS = auto()
    SECOND_LEAD = auto()
    OFFICE = auto()
    FRESH_PROOF = auto()


# Each page has one of these.
WHO = Access.PUBLIC | Access.DEVELOPMENT | Access.ACCOUNTS | Access.LEADS | Access.OFFICE
# Marks that a mark requires beside it.
REQUIRED = {
    Access.NO_COOKIE: Access.PUBLIC,
    Access.FROM_ANYWHERE: Access.PUBLIC | Access.NO_COOKIE,
    Access.SECOND_LEAD: Access.LEADS,
}


class SignedOut(Forbidden):
    """A form of a page that needs a sign-in came from a browser that is not signed in."""


class ProofNeeded(Forbidden):
    """The action needs a fresh proof of identity, and the last one is too old."""


class InconsistentAccess(Exception):
    """A view's marks contradict each other."""


def public(view: View) -> View:
    """Open a page to anyone."""
    return _marked(view, Access.PUBLIC)


def no_cookie(view: View) -> View:
    """Require no CSRF token: a signed link is the form's authority, or it needs none.

    A signed time guards such a form (`web.forms.PublicForm`).
    """
    return _marked(view, Access.NO_COOKIE)


def from_anywhere(view: View) -> View:
    """Accept a form posted by another site, such as webmail's own button (RFC 8058)."""
    return _marked(view, Access.FROM_ANYWHERE)


def development(view: View) -> View:
    """Open a page to anyone in development; in production refuse it to strangers."""
    return _marked(view, Access.DEVELOPMENT)


def for_accounts(view: View) -> View:
    """Open a page about one's own account to people who have signed in."""
    return _marked(view, Access.ACCOUNTS)


def for_leads(**find: Callable[[Session, Any, str], Found]) -> Mark[Found, Answer]:
    """Open a page to leads, about what is found of a group that they lead.

    `find` takes the session, the lead's account and a part of the address, which it is called by.
    """
    return _about(Access.LEADS, find)


def for_second_lead(**find: Callable[[Session, Any, str], Found]) -> Mark[Found, Answer]:
    """Open a page as `for_leads`; another leader than the one who asked must answer."""
    return _about(Access.LEADS | Access.SECOND_LEAD, find)


def for_leads_with_file(view: View) -> View:
    """Open a page to leads who send a file: read outside a transaction, so the view itself finds.

    It finds everything through `accounts.groups_led_by`.
    """
    return _marked(view, Access.LEADS)


@overload
def for_office(view: View, /) -> View: ...
@overload
def for_office(**find: Callable[[Session, str], Found]) -> Mark[Found, Answer]: ...
def for_office(view: Any = None, /, **find: Any) -> Any:
    """Open a page to people who work for the office; it is about all groups, or what is found."""
    return _about(Access.OFFICE, find) if view is None else _marked(view, Access.OFFICE)


def fresh_proof(view: View) -> View:
    """Require a recent proof of identity for a POST; ask for one first.

    See `accounts.proof`. The page that asks keeps the typed form.
    """
    return _marked(view, Access.FRESH_PROOF)


def access_of(view: object) -> Access:
    return getattr(view, "access", Access.UNSAID)


def asked_for() -> Access:
    """Return the marks of the requested page."""
    return access_of(current_app.view_functions.get(request.endpoint or ""))


def has_access(access: Access) -> bool:
    """Return whether the requested page has one of some marks."""
    return bool(asked_for() & access)


def endpoints(app: Flask, access: Access) -> set[str]:
    """Return the endpoints that have one of some marks."""
    return {name for name, view in app.view_functions.items() if access_of(view) & access}


def init_access(app: Flask, csrf: CSRFProtect) -> None:
    """Apply the marks of all views. Raises InconsistentAccess if they contradict each other.

    Files below /static are open to anyone.
    """
    public(app.view_functions["static"])
    for name, view in app.view_functions.items():
        marks = access_of(view)
        for access, required in REQUIRED.items():
            if access in marks and required not in marks:
                raise InconsistentAccess(f"{name} is marked {access.name}, but not {required}.")
        if len(marks & WHO) != 1:
            raise InconsistentAccess(
                f"{name} must say who may open it, by one decorator of belong_mail/web/access.py:"
                " @public, @for_accounts, @for_leads or @for_office."
            )
        if Access.FRESH_PROOF in marks and Access.PUBLIC in marks:
            raise InconsistentAccess(f"{name} wants a proof of who is signed in, but is PUBLIC.")
        if Access.NO_COOKIE in marks:
            csrf.exempt(view)


def _marked(view: View, access: Access) -> View:
    vars(view)["access"] = access_of(view) | access
    return view


def _about(access: Access, find: dict[str, Any]) -> Callable[[View], View]:
    """Return a mark that also says how to find what a page is about, by one part of its address."""
    [about] = find.items()

    def mark(view: View) -> View:
        vars(view)["about"] = about
        return _marked(view, access)

    return mark
