"""Every cell of the table of rights: role, route and object, tried through the real app."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext

import pytest
import time_machine
from sqlalchemy import make_url

from belong_mail.core.db import now
from belong_mail.web.access import Access
from tests.markers import on_both
from tests.web.rights.__main__ import PLACE, written
from tests.web.rights.site import SETTINGS, TOKEN, Actor, content
from tests.web.rights.table import Answer, Role, Route, rights_table

EVERY_PAGE = pytest.mark.parametrize("settings", [SETTINGS])
# Thousands of requests, in one go on one site.
LONG = pytest.mark.timeout(600)
# Words that were typed, the button and script that copy them, and which button is the solid one.
TYPED = re.compile(
    r"<details>\s*<summary>What you typed</summary>.*?</details>"
    r"|<p hidden><button [^>]*data-copy=.*?</p>|(?<=class=\"button )(quiet|big)(?=\")"
    r"|<script [^>]*copy\.js[^>]*></script>",
    re.DOTALL,
)
# Pages that do not exist: of a leader's group, and for anyone.
NOWHERE = ("/lead/groups/nothing-here/meetings/new", "/groups/nothing-here/join")
# Allowed presses that come too late or too soon here: nothing to resume.
TOO_LATE = {
    "releases.act resume", "office_groups.act launch", "office_groups.act undo",
    "office_groups.act restore", "office_imports.start", "office_health.act accept",
    "office_newsletters.act cancel", "office_newsletters.act resume", "office_newsletters.send",
}  # fmt: skip
# Links that need more than to be known: the browser that asked, or the provider’s word.
NEEDS_MORE = {
    "sign_in.confirm POST", "passkey.finish POST", "district.back GET", "district.back POST",
}  # fmt: skip


def normal(page: str, path: str) -> str:
    """Return a page without its own address, what is new each time, and what was typed."""
    bare = TYPED.sub("", TOKEN.sub(r"\1", page.replace(path, "PATH")))
    return "\n".join(filter(str.strip, bare.splitlines()))


@EVERY_PAGE
@LONG
def test_nothing_refused_is_there_or_changes_anything(site, services):
    """Another's is answered like nobody's, byte for byte, and no row is another one than before."""
    routes = rights_table(site.app)
    for route in routes:
        site.body_of(route)
    before, wrong = content(services), list[str]()
    with time_machine.travel(now(), tick=False):  # a page says until when one is signed in
        for actor in actors_to_try(site, services):
            for route in routes:
                wrong += refused(site, route, actor)
            after = content(services)
            wrong += [
                f"{actor.role} changed {name}" for name in after if after[name] != before[name]
            ]
    assert wrong == [], "\n".join(wrong)


def actors_to_try(site, services) -> list[Actor]:
    """List who tries: everybody on SQLite; on PostgreSQL those whose rights differ by a query."""
    if services.engine.dialect.name == "sqlite":
        return list(site.actors.values())
    return [site.actors[role] for role in (Role.LEAD, Role.OTHER_LEAD, Role.OFFICE)]


def refused(site, route: Route, actor: Actor) -> Iterator[str]:
    """Try what a role must not do on a route; say what was not refused as it should be."""
    answer = route.answer(actor.role)
    if answer is Answer.LOOKS:
        given = actor.send(route, route.path(site.of(route, site.own)), site.body_of(route))
        if given.status_code != 409:
            yield f"{actor.role} {route.method} {route.address} is answered {given.status_code}"
    for named in site.refused(route, actor.role):
        path = route.path(named)
        given = actor.send(route, path, site.body_of(route))
        if answer is Answer.SIGN_IN:
            is_led = given.status_code == 302 and (given.location or "").startswith("/sign-in")
            is_right = is_led if route.method == "GET" else given.status_code == 403
        else:
            is_right = given.status_code == (403 if answer is Answer.REFUSED else 404)
        if not is_right:
            yield f"{actor.role} {route.method} {path} is answered {given.status_code}"
        elif route.needs_key or answer is Answer.SIGN_IN:
            continue
        elif normal(given.text, path) != said_of_nothing(route, actor):
            yield f"{actor.role} {route.method} {path} is answered in words of its own"


def said_of_nothing(route: Route, actor: Actor) -> str:
    """Return what an actor is answered about what does not exist; asked once."""
    path = NOWHERE[Access.PUBLIC in route.marks]
    if (route.method, path) not in actor.heard:
        answer = actor.send(route, path, {})
        assert answer.status_code == 404
        actor.heard[route.method, path] = normal(answer.text, path)
    return actor.heard[route.method, path]


@on_both("rights of the web's role")
@EVERY_PAGE
@LONG
def test_every_allowed_request_succeeds(site, services):
    """On SQLite each button is pressed, and the database is put back; on PostgreSQL pages open."""
    is_sqlite = services.engine.dialect.name == "sqlite"
    file, wrong = make_url(services.settings.database_url).database or "", []
    for actor in actors_to_try(site, services):
        for route in rights_table(site.app):
            is_kept = route.method == "POST"
            if route.answer(actor.role) not in may(route) or (is_kept and not is_sqlite):
                continue
            with put_back(file) if is_kept else nullcontext():
                path, body = route.path(site.of(route, site.own)), site.body_of(route)
                status = actor.send(route, path, body).status_code
                actor.come_back()
            if status not in expected(route):
                wrong.append(f"{actor.role} {route.method} {path} is answered {status}")
    assert wrong == [], "\n".join(wrong)


def may(route: Route) -> set[Answer]:
    return {Answer.YES, Answer.LOOKS} if route.method == "GET" else {Answer.YES}


# Other answers: the provider of the district is away, nobody has a passkey, a proxy's own page.
OTHERWISE = {
    "district.link POST": 503,
    "passkey.remove POST": 404,
    "directory.too_long GET": 413,
}


def expected(route: Route) -> set[int]:
    name = f"{route.endpoint} {route.method}"
    if name in NEEDS_MORE:
        return {403}
    if name in OTHERWISE:
        return {OTHERWISE[name]}
    if route.method == "POST" and route.endpoint in TOO_LATE:
        return {409}
    return {200, 204, 302, 303, 308}


@contextmanager
def put_back(file: str) -> Iterator[None]:
    with closing(sqlite3.connect(":memory:")) as kept:
        with closing(sqlite3.connect(file)) as now_there:
            now_there.backup(kept)
        yield
        with closing(sqlite3.connect(file)) as now_there:
            kept.backup(now_there)


def test_the_table_is_written_down():
    """Write it anew with: python -m tests.web.rights."""
    assert PLACE.read_text() == written()
