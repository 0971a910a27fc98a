"""Leads and the office in their seats; `tests/accounts/test_sign_in.py` takes the mailed link."""

from flask import session as cookie

from belong_mail.accounts import invitations
from belong_mail.accounts import session as browsers
from belong_mail.core.db import required
from belong_mail.core.services import Services
from belong_mail.web.context import transaction
from tests.browser_client import Visitor
from tests.factories import group_named, let_work_for_office


def sign_in(app, keyring, slug: str, address: str = "") -> Visitor:
    address = address or f"lead-of-{slug}@dpsk12.org"
    services: Services = app.extensions["belong"]
    with services.writing.begin() as session:
        group = group_named(session, slug)
        invitations.invite(session, keyring, group, address)
    return signed_in(app, keyring, address)


def sign_in_office(app, keyring, address: str = "office@dpsk12.org") -> Visitor:
    """Return a browser in which somebody is signed in who works for the office and leads none."""
    services: Services = app.extensions["belong"]
    with services.writing.begin() as session:
        let_work_for_office(session, keyring, address)
    return signed_in(app, keyring, address)


def signed_in(app, keyring, address: str, browser: Visitor | None = None) -> Visitor:
    """Sign an account in, as the page of a mailed link does, without the email."""
    browser = browser or Visitor(app.test_client())
    with app.test_request_context(method="POST"), transaction() as session:
        found = invitations.find_account(session, keyring.index, address)
        account = required(found, LookupError)
        browsers.start_session(session, account)
        answer = browsers.go_home(account)
        app.session_interface.save_session(app, cookie, answer)
    for each in answer.headers.getlist("Set-Cookie"):
        name, _, value = each.partition(";")[0].partition("=")
        browser.client.set_cookie(name, value)
    return browser
