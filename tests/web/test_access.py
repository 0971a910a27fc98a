"""A page's view says who may open it: nothing said, nobody."""

import pytest
from flask_wtf import CSRFProtect
from sqlalchemy import update

from belong_mail.accounts.models import Right
from belong_mail.accounts.service import group_for_lead
from belong_mail.web import access
from belong_mail.web.access import (
    Access,
    InconsistentAccess,
    endpoints,
    from_anywhere,
    init_access,
    no_cookie,
    public,
)
from tests import crawl
from tests.clients import sign_in, sign_in_office
from tests.district_names import NAMED
from tests.factories import group_named
from tests.markers import on_sqlite
from tests.web.rights.table import PART, rights_table

pytestmark = on_sqlite

PAGE = "a page that may be secret"


def add_page(app, view: object) -> None:
    app.add_url_rule("/new", "new", view, methods=["GET", "POST"])


def test_page_without_a_mark_is_refused_to_strangers(app, visitor):
    """And an app with one does not start."""
    add_page(app, lambda: PAGE)
    for method in ("GET", "POST"):
        answer = visitor.client.open("/new", method=method)
        assert answer.status_code in ({302} if method == "GET" else {400, 403})
        assert PAGE not in answer.text
    with pytest.raises(InconsistentAccess, match="new must say who may open it, by one decorator"):
        init_access(app, CSRFProtect())


@pytest.mark.parametrize(
    ("mark", "seats"),
    [
        (lambda view: view, ""),
        (access.for_accounts, "lead office"),
        (access.for_leads(slug=group_for_lead), "lead"),
        (access.for_second_lead(slug=group_for_lead), "lead"),
        (access.for_leads_with_file, "lead"),
        (access.for_office, "office"),
    ],
)
def test_page_is_opened_only_by_the_roles_that_its_mark_names(app, services, keyring, mark, seats):
    """The view itself does not matter; a right that ends while somebody is signed in counts."""
    add_page(app, mark(lambda: PAGE))
    lead = sign_in(app, keyring, "asian")
    office = sign_in_office(app, keyring)
    for name, browser in (("lead", lead), ("office", office)):
        answer = browser.open("/new")
        is_named = name in seats.split()
        assert (answer.status_code == 200, PAGE in answer.text) == (is_named, is_named), name
    with services.writing.begin() as session:
        session.execute(update(Right).values(accepted_at=None))
    for browser in (lead, office):
        assert (browser.open("/new").status_code == 200) == (mark is access.for_accounts)


@pytest.mark.parametrize("mark", [public, access.development])
def test_public_page_is_opened_by_anyone_but_takes_no_form_without_a_token(app, visitor, mark):
    add_page(app, mark(lambda: PAGE))
    assert visitor.client.get("/new").text == PAGE
    assert visitor.client.post("/new").status_code == 400


@pytest.mark.parametrize("settings", [NAMED])
def test_page_of_development_is_refused_to_strangers_in_production(app, visitor):
    """And those that the product has are not there at all."""
    add_page(app, access.development(lambda: PAGE))
    answer = visitor.client.get("/new", base_url=NAMED["BELONG_BASE_URL"])
    assert answer.location == "/sign-in"
    assert PAGE not in answer.text
    mailbox = visitor.client.get("/dev/mailbox", base_url=NAMED["BELONG_BASE_URL"])
    assert mailbox.status_code == 404
    assert not [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/dev")]


@pytest.mark.parametrize(
    "mark", [no_cookie, from_anywhere, lambda view: public(from_anywhere(view))]
)
def test_app_does_not_start_with_a_form_that_strangers_could_have_a_lead_send(app, mark):
    init_access(app, CSRFProtect())
    add_page(app, mark(lambda: PAGE))
    with pytest.raises(InconsistentAccess, match="new is marked"):
        init_access(app, CSRFProtect())


def test_form_without_a_cookie_has_a_link_or_a_signed_time(app, visitor, services):
    """Without either a POST is shown its form again; one page alone takes posts of other sites."""
    with services.writing.begin() as session:
        group_named(session, "asian").allows_personal_addresses = True
    assert endpoints(app, Access.FROM_ANYWHERE) == {"subscriptions.one_click"}
    waived = endpoints(app, Access.NO_COOKIE)
    for rule in app.url_map.iter_rules():
        if rule.endpoint in waived and not {"token", "secret"} & rule.arguments:
            path = rule.rule.replace("<slug>", "asian")
            assert visitor.client.post(path).status_code == 422, rule


def test_no_form_of_another_site_is_taken_and_no_head_of_a_stranger_answered(app, keyring, visitor):
    lead, elsewhere = crawl.sign_in(app, keyring), {"Sec-Fetch-Site": "cross-site"}
    for route in rights_table(app):
        address = PART.sub("1", route.address)
        if Access.PUBLIC in route.marks:
            continue
        if route.method == "POST":
            assert lead.client.post(address, headers=elsewhere).status_code == 403, route
        else:
            assert visitor.client.head(address).location == "/sign-in", route
