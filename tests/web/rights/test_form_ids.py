"""Ids that a form's fields carry: another's or a made-up one is refused, and changes nothing."""

from collections.abc import Iterator

import pytest
import time_machine
from lxml.html import document_fromstring
from sqlalchemy import select

from belong_mail.accounts.models import BrowserSession
from belong_mail.core.db import Base, new_public_id, now
from belong_mail.groups import service as groups
from belong_mail.groups.models import Group
from belong_mail.members.models import Subscription
from tests import crawl
from tests.factories import group_named, make_member
from tests.web.rights.site import OTHER, SETTINGS, Site, account_of, content
from tests.web.rights.table import Answer, Role, rights_table

pytestmark = [
    pytest.mark.parametrize("settings", [SETTINGS]),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
    pytest.mark.timeout(600),
]
# Each field of a form that carries an id, by where the form is sent, and who may send it.
FIELDS = {
    ("account.end", "session"): Role.LEAD,
    ("self_service.act", "membership"): Role.LINK,
    ("office.addresses", "group"): Role.OFFICE,
    ("people.do", "role"): Role.OFFICE,
    ("people.invite", "groups"): Role.OFFICE,
}
# Refused: there is no such thing, it is not as it was, or the form is shown again.
REFUSED = {404, 409, 422}


@pytest.fixture
def site(site, services, keyring) -> Site:
    """The site, where a lead is signed in twice, and a group has ended."""
    crawl.ended_group(services)
    with services.writing.begin() as session:
        lead = account_of(session, keyring, "lead@dpsk12.org")
        session.add(BrowserSession(account_id=lead.id, token_hash=b"of another browser"))
        make_member(session, keyring, "ada@dpsk12.org", OTHER)
    return site


def ids_of(session) -> set[str]:
    found = set(session.scalars(select(Group.slug)))
    for mapper in Base.registry.mappers:
        if "public_id" in mapper.columns:
            found |= set(session.scalars(select(mapper.columns["public_id"])))
    return found


def fields_of(page: str, path: str) -> Iterator[tuple[str, str, str]]:
    """List where each form of a page is sent, and each field with each value that it may have."""
    for form in document_fromstring(page).forms:
        action = (form.action or path).partition("?")[0]
        for each in form.xpath(".//input | .//button | .//option") if form.method == "POST" else ():
            [named] = each.xpath("ancestor-or-self::*[@name][1]/@name") or [""]
            yield action, named, each.get("value", "")


def test_every_field_that_carries_an_id_is_tried_here(site, services):
    """A form with a new one fails here until it is entered in FIELDS."""
    with services.reading.begin() as session:
        known = ids_of(session) | {site.typed["self_service"]["membership"]}
    adapter, found = site.app.url_map.bind("localhost"), set()
    for route in rights_table(site.app):
        allowed = [each for each in Role if route.answer(each) is Answer.YES]
        if route.method != "GET" or not allowed:
            continue
        path = route.path(site.of(route, site.own))
        page = site.actors[allowed[0]].browser.open(path)
        if page.mimetype != "text/html":
            page.close()
            continue
        for action, name, value in fields_of(page.text, path):
            if value in known and name:
                found.add((adapter.match(action, "POST")[0], name.rpartition(":")[2]))
        page.close()
    assert found == set(FIELDS)


def foreign(session, keyring) -> dict[str, list[str]]:
    other, ended = group_named(session, OTHER), groups.find_of_any_age(session, "ended")
    assert ended is not None
    elsewhere = account_of(session, keyring, "else@dpsk12.org")
    signed_in = select(BrowserSession.public_id).where(BrowserSession.account_id == elsewhere.id)
    members = select(Subscription.public_id).where(Subscription.group_id == other.id)
    return {
        "session": list(session.scalars(signed_in)),
        "membership": list(session.scalars(members)),
        "group": [ended.slug],
        "role": [OTHER, ended.slug],
        "groups": [ended.public_id],
    }


def test_anothers_id_in_a_field_is_refused_and_changes_nothing(site, services, keyring):
    with services.reading.begin() as session:
        strange = foreign(session, keyring)
    routes = {route.endpoint: route for route in rights_table(site.app) if route.method == "POST"}
    bodies = {endpoint: site.body_of(routes[endpoint]) for endpoint, _field in FIELDS}
    before, wrong = content(services), []
    with time_machine.travel(now(), tick=False):
        for (endpoint, field), role in FIELDS.items():
            named = {**site.of(routes[endpoint], site.own), "verb": "remove"}
            path = routes[endpoint].path(named)
            assert strange[field], field
            for value in (*strange[field], new_public_id()):
                body = {**bodies[endpoint], field: value}
                body.pop("others", None)  # the button beside it, which ends all of one's own
                status = site.actors[role].send(routes[endpoint], path, body).status_code
                if status not in REFUSED or content(services) != before:
                    wrong.append(f"{endpoint} {field}={value} is answered {status}")
                    before = content(services)
    assert wrong == [], "\n".join(wrong)
