"""All pages: each is shown somewhere, refused to whom it is not for, and changes nothing by GET."""

import re
from contextlib import suppress

from jinja2 import Environment, meta
from werkzeug.exceptions import HTTPException

from belong_mail.web.access import Access, endpoints
from tests.browser_client import path_of
from tests.crawl import (
    all_of_a_lead,
    lead_stops,
    mailed_links,
    open_thread,
    pressed,
    prove_again,
    record_templates,
    reference_of,
    sign_in,
    stops,
    used,
)
from tests.db_dump import kept_of
from tests.markers import on_sqlite
from tests.processes import ROOT


@on_sqlite
def test_every_template_compiles_and_every_page_of_them_is_shown_somewhere(app, scenario):
    shown: set[str] = set()
    record_templates(app, shown)
    visitor, services = scenario.visitor, scenario.services
    links = mailed_links(scenario)
    for stop in stops(services, links, reference_of(visitor)):
        visitor.client.get(path_of(stop.url), buffered=True)
    assert visitor.open("/groups/asian/join/personal").status_code == 404
    list(pressed(visitor, links))
    assert {page.status_code for page in used(scenario)} == {200}
    assert open_thread(visitor, services).status_code == 200
    assert visitor.client.post("/contact", headers={"Origin": "null"}).status_code == 403
    lead = sign_in(app, scenario.keyring)
    for _page in (*all_of_a_lead(lead, services), *prove_again(lead, scenario)):
        pass
    environment = app.jinja_env
    names = {name for name in environment.list_templates() if name.endswith(".html")}
    # Only where an identity provider is configured: tests/accounts/district opens these.
    names = {name for name in names if not name.startswith("district/")}
    for name in names:
        environment.get_template(name)
    assert names - shown - referenced(environment, names) == set()


def referenced(environment: Environment, names: set[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        source = (ROOT / "templates" / name).read_text()
        found |= {str(each) for each in meta.find_referenced_templates(environment.parse(source))}
    return found


@on_sqlite
def test_every_page_of_leads_and_of_the_office_is_linked_from_another(app, services, keyring):
    """The others are opened by a button, an email, a script, or an issue that is being sent."""
    lead, urls, linked = sign_in(app, keyring), app.url_map.bind("localhost"), set[str]()
    for page in all_of_a_lead(lead, services):
        for path in re.findall(r'(?:href|src|action)="(/[^"?#]*)', page.text):
            with suppress(HTTPException):
                linked |= {urls.match(path, "GET")[0]} - {urls.match(page.request.path, "GET")[0]}
    wanted = endpoints(app, Access.LEADS | Access.OFFICE | Access.ACCOUNTS)
    wanted &= {each.endpoint for each in app.url_map.iter_rules() if "GET" in each.methods}
    assert wanted - linked == {
        "account.proven", "approvals.approve", "flyers.add", "office_newsletters.ask",
        "pictures.add", "releases.ask", "releases.release", "releases.state",
    }  # fmt: skip


@on_sqlite
def test_the_mailbox_of_development_opens_on_this_machine_and_through_no_proxy(app):
    client = app.test_client(use_cookies=False)
    for headers, address in (
        ({"X-Forwarded-For": "127.0.0.1"}, "127.0.0.1"),
        ({"X-Real-IP": "127.0.0.1"}, "127.0.0.1"),
        ({"Forwarded": "for=127.0.0.1"}, "127.0.0.1"),
        ({"Via": "1.1 proxy"}, "127.0.0.1"),
        ({}, "192.0.2.7"),
        ({}, "2001:db8::7"),
        ({}, ""),
    ):
        from_there = {"REMOTE_ADDR": address}
        for path in ("/dev/mailbox", "/dev/mailbox?since=now", "/dev/mailbox/x/html"):
            answer = client.get(path, headers=headers, environ_overrides=from_there)
            assert answer.status_code == 404, (headers, address)
    assert client.get("/dev/mailbox").status_code == 200


def test_reading_any_page_or_mailed_link_changes_nothing(app, visitor, services, keyring, links):
    lead = sign_in(app, keyring)
    lead_places = list(lead_stops(app, services))
    places = list(stops(services, links, reference_of(visitor)))
    assert {
        rule.rule.split("/")[1]
        for rule in app.url_map.iter_rules()
        if {"token", "secret"} & rule.arguments
    } == links.keys()
    before = kept_of(services)
    for stop in places:
        for method in ("GET", "HEAD", "OPTIONS"):
            visitor.client.open(path_of(stop.url), method=method, buffered=True)
    for place in lead_places:
        for method in ("GET", "HEAD", "OPTIONS"):
            lead.client.open(place, method=method)
    assert kept_of(services) == before
