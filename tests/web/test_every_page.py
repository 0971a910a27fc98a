"""All pages: each is shown somewhere, refused to whom it is not for, and changes nothing by GET."""

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from flask import request, request_finished
from jinja2 import Environment, meta
from lxml.html import document_fromstring

from belong_mail.core.db import now
from belong_mail.groups.seeds import GROUPS
from belong_mail.web.access import Access, endpoints
from tests.browser_client import path_of, read
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
from tests.factories import group_named
from tests.markers import on_sqlite
from tests.processes import ROOT

# Each button, where it leads, and the names of what its form has.
BUTTONS = Path(__file__).with_name("buttons.txt")
# Each page with the arguments of its query, and the words of all links to it.
LINKS = Path(__file__).with_name("links.txt")
# Words of links that are a group's, a day's, or a message's.
DATA = {
    "GROUP": "|".join(re.escape(each["name"]) for each in GROUPS),
    "DAY": r"[A-Z]\w+, [A-Z]\w+ \d+(, 20\d\d)?(, \d+:00 – \d+:00 PM)?",
    "MONTH": r"[A-Z]\w+ 20\d\d",
    "REFERENCE": r"[0-9A-Z]{4}-[0-9A-Z]{4}",
}


def buttons_of(app, response) -> Iterator[str]:
    """Say of each button of a page where it leads, and what its form has."""
    urls, page = app.url_map.bind("localhost"), response.get_data(as_text=True)
    for form in document_fromstring(page).forms if "<form" in page else ():
        names = {each.get("name") for each in form.iter() if each.tag != "button"} - {None}
        for button in form.iter("button") if form.method == "POST" else ():
            action = button.get("formaction") or form.get("action") or request.path
            endpoint, given = urls.match(action.partition("?")[0], "POST")
            verb = given.get("verb") or given.get("press") or ""
            words = " ".join(read(button.text_content()).split())
            said = button.get("value", "")  # but for days, and for ids, which are long
            own = [f"{button.get('name')}={said}"] if said.isalpha() and len(said) < 9 else []
            yield " ".join([words, "→", *filter(None, (endpoint, verb)), *own, *sorted(names)])


def note_links(app, response, linked: dict[str, set[str]]) -> None:
    """Note the words of a page's links to pages of ours, besides those to another language."""
    urls, page = app.url_map.bind("localhost"), response.get_data(as_text=True)
    found = "//a[not(@hreflang)][not(starts-with(@href, '#'))]"
    for link in document_fromstring(page).xpath(found) if "<a" in page else ():
        to = urlsplit(urljoin(request.path, link.get("href")))
        if to.scheme or to.netloc:
            continue
        words = " ".join(read(link.text_content()).split())
        for name, pattern in DATA.items():
            words = re.sub(pattern, name, words)
        given = sorted(parse_qs(to.query).keys() - {"lang"})
        linked[" ".join([urls.match(to.path, "GET")[0], *given])].add(words)


def walk(app, scenario) -> None:
    """Open every page, as a visitor, by mailed links, as a leader and as the office."""
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
    with services.writing.begin() as session:
        group_named(session, "lgbtq").ends_at = now() + timedelta(days=9)
        group_named(session, "autoimmune").established_at = now()
    lead = sign_in(app, scenario.keyring)
    for slug in ("lgbtq", "autoimmune"):
        lead.open(f"/office/groups/{slug}")


@on_sqlite
def test_every_template_compiles_and_every_page_of_them_is_shown_somewhere(app, scenario):
    shown, buttons, linked = set[str](), set[str](), defaultdict[str, set[str]](set)

    def note(_app: object, response: Any) -> None:
        if response.mimetype == "text/html" and not response.location:
            buttons.update(buttons_of(app, response))
            note_links(app, response, linked)

    record_templates(app, shown)
    request_finished.connect(note, app)
    walk(app, scenario)
    environment = app.jinja_env
    names = {name for name in environment.list_templates() if name.endswith(".html")}
    # Only where an identity provider is configured: tests/accounts/district opens these.
    names = {name for name in names if not name.startswith("district/")}
    for name in names:
        environment.get_template(name)
    assert names - shown - referenced(environment, names) == set()
    assert sorted(buttons) == BUTTONS.read_text().splitlines()
    said = [f"{page} ← {' | '.join(sorted(words))}" for page, words in sorted(linked.items())]
    assert said == LINKS.read_text().splitlines()
    wanted = endpoints(app, Access.LEADS | Access.OFFICE | Access.ACCOUNTS)
    wanted &= {each.endpoint for each in app.url_map.iter_rules() if "GET" in each.methods}
    assert wanted - {page.split()[0] for page in linked} == {
        # Opened by a button, an email, a script or a frame, or part of an issue that is being sent.
        "account.proven", "approvals.approve", "editor.preview", "flyers.add",
        "office_newsletters.ask", "pictures.add", "pictures.show", "releases.ask",
        "releases.release",
    }  # fmt: skip


def referenced(environment: Environment, names: set[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        source = (ROOT / "templates" / name).read_text()
        found |= {str(each) for each in meta.find_referenced_templates(environment.parse(source))}
    return found


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
