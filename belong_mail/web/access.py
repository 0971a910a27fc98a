"""Access to pages: each view declares its own by decorators; without one the app does not start.

    @contact.route("/contact", methods=["GET", "POST"])
    @public
    @no_cookie
    def write() -> ...

    @planning.get("/groups/<slug>/meetings")
    @for_leads(slug=accounts.group_for_lead)
    def listed(session: Session, group: Group) -> ...

Decorators mark the view function and return it, so they work above the route, too. `web.page`
passes the view its session, and what `find` returns for an argument of the URL. `tests.web.rights`
writes these marks as a table, `docs/rights.md`.
"""

from collections.abc import Callable
from enum import Flag, auto
from functools import partial
from typing import Any, Concatenate, TypeVar, overload

from flask import Flask, current_app, request
from flask_wtf import CSRFProtect
from sqlalchemy.orm import Session
from werkzeug.exceptions import Forbidden

View = TypeVar("View")
Found = TypeVar("Found")
Answer = TypeVar("Answer")
# A decorator of a view that is passed its session and what `find` returns.
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


# Each page has exactly one of these.
WHO = Access.PUBLIC | Access.DEVELOPMENT | Access.ACCOUNTS | Access.LEADS | Access.OFFICE
# Marks that require another one.
REQUIRED = {
    Access.NO_COOKIE: Access.PUBLIC,
    Access.FROM_ANYWHERE: Access.PUBLIC | Access.NO_COOKIE,
    Access.SECOND_LEAD: Access.LEADS,
}


class SignedOut(Forbidden):
    """A form of a page that requires sign-in was posted by a browser that is not signed in."""


class ProofNeeded(Forbidden):
    """The action requires a fresh proof of identity, and the last one is too old."""


class InconsistentAccess(Exception):
    """A view's decorators contradict each other."""


def public(view: View) -> View:
    """Let anyone open a page."""
    return _marked(view, Access.PUBLIC)


def no_cookie(view: View) -> View:
    """Require no CSRF token: the URL is signed, or the form needs no authority.

    Such a form has a signed time instead (`web.forms.PublicForm`).
    """
    return _marked(view, Access.NO_COOKIE)


def from_anywhere(view: View) -> View:
    """Accept a form that another site posts, such as webmail's unsubscribe button (RFC 8058)."""
    return _marked(view, Access.FROM_ANYWHERE)


def development(view: View) -> View:
    """Let anyone open a page in development, and no one in production."""
    return _marked(view, Access.DEVELOPMENT)


def for_accounts(view: View) -> View:
    """Let everyone who is signed in open a page, about their own account."""
    return _marked(view, Access.ACCOUNTS)


def for_leads(**find: Callable[[Session, Any, str], Found]) -> Mark[Found, Answer]:
    """Let leaders open a page about an object of a group they lead.

    `find` maps a URL argument to a function of session, account and that argument.
    """
    return _about(Access.LEADS, find)


def for_second_lead(**find: Callable[[Session, Any, str], Found]) -> Mark[Found, Answer]:
    """Do as `for_leads`, but the leader who asked may not be the one who answers."""
    return _about(Access.LEADS | Access.SECOND_LEAD, find)


def for_leads_with_file(view: View) -> View:
    """Let leaders open a page that takes a file, which is read outside of a transaction.

    So the view looks its object up itself, through `accounts.GROUPS_LED`.
    """
    return _marked(view, Access.LEADS)


@overload
def for_office(view: View, /) -> View: ...
@overload
def for_office(**find: Callable[[Session, str], Found]) -> Mark[Found, Answer]: ...
def for_office(view: Any = None, /, **find: Any) -> Any:
    """Let the office open a page, about all groups or about what `find` returns."""
    return _about(Access.OFFICE, find) if view is None else _marked(view, Access.OFFICE)


# Used below a mark: copies a view without its marks, to let other people open it at another URL.
also = partial


def fresh_proof(view: View) -> View:
    """Require a recent proof of identity for a POST (`accounts.proof`).

    The page that asks for it keeps the typed form.
    """
    return _marked(view, Access.FRESH_PROOF)


def access_of(view: object) -> Access:
    return getattr(view, "access", Access.UNSAID)


def asked_for() -> Access:
    """Return the marks of the requested page."""
    return access_of(current_app.view_functions.get(request.endpoint or ""))


def has_access(access: Access) -> bool:
    """Return whether the requested page has any of these marks."""
    return bool(asked_for() & access)


def endpoints(app: Flask, access: Access) -> set[str]:
    """Return the endpoints with any of these marks."""
    return {name for name, view in app.view_functions.items() if access_of(view) & access}


def init_access(app: Flask, csrf: CSRFProtect) -> None:
    """Check and apply the marks of all views. Raises InconsistentAccess.

    Anyone may open files below /static.
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
    """Return a decorator that adds marks, and the URL argument by which an object is found."""
    [about] = find.items()

    def mark(view: View) -> View:
        vars(view)["about"] = about
        return _marked(view, access)

    return mark
