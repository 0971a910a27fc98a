"""Pass views their session and object, and render pages.

A view whose first argument is a session runs in one transaction, which commits when it returns and
rolls back on an error. The object that its decorator finds replaces the URL argument:

    @lead_meetings.post("/meetings/<meeting_id>/cancel")
    @for_leads(meeting_id=meetings.find_for_lead)
    def cancel(session: Session, meeting: Meeting) -> ResponseReturnValue: ...

A view with two transactions, or with long work outside of one, opens them itself.
"""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any

from flask import Flask, g, render_template
from sqlalchemy.orm import Session

from belong_mail.web.access import Access, View, access_of
from belong_mail.web.context import transaction

Page = tuple[str, int]


def page(template: str, status: int = 0, /, **context: Any) -> Page:
    """Render a template; without a given status, it is 422 if `form` has errors, else 200."""
    form = context.get("form")
    has_errors = form is not None and bool(form.errors)
    return render_template(template, **context), status or (422 if has_errors else 200)


def unrecorded(reason: str) -> Callable[[View], View]:
    """Let a view change data without an audit entry, for the given reason."""

    def mark(view: View) -> View:
        vars(view)["unrecorded"] = reason
        return view

    return mark


def init_views(app: Flask) -> None:
    """Wrap each view that takes a session, or finds an object, in a transaction."""
    for name, view in app.view_functions.items():
        taken = [each.annotation for each in signature(view).parameters.values()]
        if taken[:1] == [Session] or "about" in vars(view):
            app.view_functions[name] = _in_transaction(view)


def _in_transaction(view: Callable[..., Any]) -> Callable[..., Any]:
    name, find = vars(view).get("about", ("", None))
    is_for_leads = Access.LEADS in access_of(view)

    @wraps(view)
    def run(**named: Any) -> Any:
        with transaction(vars(view).get("unrecorded", "")) as session:
            if find is None:
                return view(session, **named)
            scope = (g.account,) if is_for_leads else ()
            return view(session, find(session, *scope, named.pop(name)), **named)

    return run
