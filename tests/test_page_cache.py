"""Public pages are built once, until what they show changes; nothing of a visitor's is kept."""

import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask, template_rendered
from sqlalchemy import (
    JSON,
    Boolean,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    Time,
    event,
    text,
    update,
)

from belong_mail.accounts import invitations
from belong_mail.app import create_app
from belong_mail.core.db import new_public_id, now
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.core.site_settings import SiteSetting
from belong_mail.groups.models import Group
from belong_mail.meetings import service as meetings
from belong_mail.web.access import public
from belong_mail.web.page_cache import MAX_PAGES, PageCache, cached_by
from belong_mail.worker.loop import Worker
from config import Config
from tests.browser_client import Form, Visitor
from tests.clients import sign_in
from tests.factories import group_named, plan_meeting
from tests.servers.smtp import Server

WITH_TAG = (
    "/", "/groups/asian", "/groups/autoimmune", "/privacy", "/accessibility", "/calendar",
    "/calendar/2027-03", "/calendar.ics", "/groups/asian/calendar.ics", "/new-colleagues",
    "/new-colleagues/sheet", "/new-colleagues/mail", "/groups/asian/poster",
)  # fmt: skip
FORMS = ("/groups/asian/join", "/groups/autoimmune/tell-me", "/contact", "/my-groups")
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
# SQL for a value that does not stand in a column, by the column's type.
OTHER: tuple[tuple[type, str], ...] = (
    (LargeBinary, "CAST('x' AS {binary})"),
    (JSON, '\'{{"en": "Other words"}}\''),
    (Boolean, "NOT {column}"),
    (DateTime, "'2031-05-06 07:08:00+00'"),
    (Date, "'2031-05-06'"),
    (Time, "'05:06:00'"),
    (Integer, "COALESCE({column}, 0) + 77"),
    (object, "'other'"),
)


@contextmanager
def rendered(app: Flask) -> Iterator[list[str]]:
    """Yield the names of the templates that are filled in meanwhile."""
    names: list[str] = []

    def note(_app: Flask, template: Any, **_: Any) -> None:
        names.append(template.name)

    with template_rendered.connected_to(note, app):
        yield names


def cache_of(app: Flask) -> PageCache:
    cache: PageCache = app.extensions["page_cache"]
    return cache


def is_kept(app: Flask, visitor: Visitor, path: str) -> bool:
    """Tell whether a second answer of the same minute fills in no template."""
    while True:
        minute = now().minute
        assert visitor.open(path).status_code == 200
        with rendered(app) as names:
            assert visitor.open(path).status_code == 200
        if now().minute == minute:
            return names == []


def is_built(app: Flask, visitor: Visitor, path: str) -> bool:
    """Tell whether an answer fills in a template."""
    with rendered(app) as names:
        assert visitor.open(path).status_code == 200
    return names != []


def tag(visitor: Visitor, path: str = "/groups/asian") -> str:
    return visitor.open(path).headers["ETag"]


@pytest.mark.parametrize("path", [*WITH_TAG, *FORMS])
def test_a_page_is_built_once(app: Flask, visitor: Visitor, path: str) -> None:
    first = visitor.open(path)
    again = visitor.open(path)
    assert again.content_type == first.content_type
    if path in WITH_TAG:
        assert again.data == first.data
    assert is_kept(app, visitor, path)


@SQLITE
@pytest.mark.parametrize("path", WITH_TAG)
@pytest.mark.parametrize("accepted", ["gzip", "identity"])
def test_a_browser_that_has_the_page_is_sent_nothing(
    visitor: Visitor, path: str, accepted: str
) -> None:
    visitor.headers = {"Accept-Encoding": accepted}
    first = visitor.open(path)
    is_timed = "calendar" in path
    wanted = "public, max-age=300" if is_timed else "public, no-cache"
    assert first.headers["Cache-Control"] == wanted
    visitor.headers = {"Accept-Encoding": accepted, "If-None-Match": first.headers["ETag"]}
    again = visitor.open(path)
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    varies = {*again.headers["Vary"].replace(" ", "").split(",")}
    assert varies == {"Accept-Encoding", "Accept-Language"}


@SQLITE
def test_each_language_and_each_encoding_is_a_page_of_its_own(visitor: Visitor) -> None:
    plain: dict[str, bytes] = {}
    for language, end in (("en", ""), ("es", ""), ("en", "?lang=es"), ("es", "?lang=en")):
        for accepted in ("identity", "gzip", "identity"):
            visitor.headers = {"Accept-Language": language, "Accept-Encoding": accepted}
            answer = visitor.open(f"/privacy{end}")
            is_packed = answer.headers.get("Content-Encoding") == "gzip"
            assert is_packed == (accepted == "gzip")
            data = gzip.decompress(answer.data) if is_packed else answer.data
            assert plain.setdefault(language + end, data) == data
            assert answer.headers["Content-Language"] == (end or language)[-2:]
    assert len({*plain.values()}) == 4, "in the URL's language every link names it"


def other(column: Any, dialect: str) -> str:
    """Write SQL for a value that a column does not hold."""
    plain = getattr(column.type, "impl", column.type)
    sql = next(sql for kind, sql in OTHER if isinstance(plain, kind))
    binary = "BLOB" if dialect == "sqlite" else "BYTEA"
    return sql.format(column=column.name, binary=binary)


def named_models(app: Flask) -> set[Any]:
    views = app.view_functions.values()
    return {model for view in views for model in getattr(view, "cached_by", ())}


def test_a_write_to_any_column_builds_the_page_anew_whoever_makes_it(
    app: Flask, visitor: Visitor, services: Services, keyring: Keyring
) -> None:
    """The writes are plain SQL: what the ORM does not see, as of a migration, counts too."""
    models = named_models(app)
    app.add_url_rule("/probe", "probe", public(cached_by(*models)(new_public_id)))
    with services.writing.begin() as session:
        session.add(SiteSetting(name="video_url", value="https://example.org/a"))
        meeting = plan_meeting(session)
        meetings.cancel_day(meeting, meeting.starts_on)
        group = group_named(session, "asian")
        invitations.invite(session, keyring.opener, keyring.index, group, "ada@dpsk12.org")
    dialect, tried = services.engine.dialect.name, 0
    for table in (each.__table__ for each in models):
        columns = [each for each in table.columns if not (each.primary_key or each.foreign_keys)]
        key, *_ = table.primary_key
        first = f"{key.name} = (SELECT min({key.name}) FROM {table.name})"  # noqa: S608 - our own names
        for column in columns:
            before = visitor.open("/probe").text
            change = f"UPDATE {table.name} SET {column.name} = {other(column, dialect)}"  # noqa: S608 - our own names
            with services.engine.begin() as connection:
                assert connection.execute(text(f"{change} WHERE {first}")).rowcount == 1
            assert visitor.open("/probe").text != before, column
            tried += 1
    assert tried > 60


def test_every_table_that_a_page_reads_is_named_at_its_view(
    app: Flask, visitor: Visitor, services: Services
) -> None:
    with services.writing.begin() as session:
        plan_meeting(session, slug="asian")
    read: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        read.extend(re.findall(r"(?:FROM|JOIN) (\w+)", statement))

    event.listen(services.engine, "before_cursor_execute", note)
    for path in (*WITH_TAG, *FORMS):
        read.clear()
        visitor.open(path)
        endpoint, _ = app.url_map.bind("localhost").match(path)
        named = {each.__tablename__ for each in vars(app.view_functions[endpoint])["cached_by"]}
        assert {*read} <= named, path
    event.remove(services.engine, "before_cursor_execute", note)


def test_web_worker_commands_and_other_processes_agree_at_once(
    app: Flask, environment: dict[str, str], visitor: Visitor, services: Services, worker: Worker
) -> None:
    """Two apps on one database stand for two web processes."""
    other_app = create_app(Config.read(environment))
    visitors = (visitor, Visitor(other_app.test_client(use_cookies=False)))
    seen = [tag(visitor, "/")]

    def is_new_for_both() -> bool:
        """Tell whether all have a page that none had a moment ago."""
        first, second = (tag(each, "/") for each in visitors)
        seen.append(first)
        return first == second != seen[-2]

    assert tag(visitors[1], "/") == seen[-1]

    with services.writing.begin() as session:
        group_named(session, "asian").summary = {"en": "Tea, and more"}
    assert is_new_for_both()
    runner = app.test_cli_runner()
    added = ("group", "add", "book-club", "Book Club", "--summary", "We read.")
    assert runner.invoke(args=added).exit_code == 0
    assert is_new_for_both()
    with services.writing.begin() as session:
        group = group_named(session, "book-club")
        group.ends_at = group.created_at
    assert is_new_for_both()
    worker.drain()
    assert is_new_for_both()
    other_app.extensions["belong"].engine.dispose()


@SQLITE
def test_a_page_is_built_anew_when_the_minute_is_over(app: Flask, visitor: Visitor) -> None:
    """Meetings end and days change with a minute; the tag stays, for the page is the same."""
    first = tag(visitor)
    cache = cache_of(app)
    # Nobody turns the clock: the pages are made a minute older.
    for key, page in [*cache._pages.items()]:
        minute, rows = page.version
        cache.put(key, replace(page, version=(minute - 1, rows)))
    assert is_built(app, visitor, "/groups/asian")
    assert tag(visitor) == first


@SQLITE
def test_a_page_whose_rows_change_while_it_is_built_is_not_kept(
    app: Flask, visitor: Visitor, services: Services
) -> None:
    with services.writing.begin() as session:
        session.add(SiteSetting(name="video_url", value="https://example.org/a"))

    def view() -> str:
        with services.engine.begin() as connection:
            connection.execute(update(SiteSetting).values(value=new_public_id()))
        return new_public_id()

    app.add_url_rule("/probe", "probe", public(cached_by(SiteSetting)(view)))
    assert visitor.open("/probe").status_code == 200
    assert len(cache_of(app)) == 0


@SQLITE
@pytest.mark.parametrize(
    "query",
    ["?x=1", "?lang=xx", "?lang=es&lang=en", "?saved=1", "?again=1", "?lang=es&email=ada"],
)
def test_what_a_stranger_adds_to_a_url_is_never_kept(
    app: Flask, visitor: Visitor, query: str
) -> None:
    answer = visitor.open(f"/groups/asian{query}")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
    assert len(cache_of(app)) == 0


@SQLITE
def test_no_page_is_kept_for_or_from_who_sends_a_cookie(
    app: Flask,
    visitor: Visitor,
    services: Services,
    keyring: Keyring,
    worker: Worker,
    relay: Server,
) -> None:
    lead = sign_in(app, services, keyring, worker, relay, "asian")
    kept = len(cache_of(app))
    for path in ("/", "/groups/asian", "/contact", "/calendar"):
        answer = lead.open(path)
        assert answer.headers["Cache-Control"] == "no-store", path
        assert "ETag" not in answer.headers
    assert len(cache_of(app)) == kept
    visitor.open("/groups/asian/poster")
    assert len(cache_of(app)) == kept + 1


@SQLITE
def test_errors_and_redirects_are_not_kept(app: Flask, visitor: Visitor) -> None:
    for path, status in (
        ("/groups/nobody", 404), ("/groups/nobody/join", 404), ("/calendar?group=nobody", 404),
        ("/calendar/2027-13", 404), ("/groups/asian/tell-me", 302),
    ):  # fmt: skip
        assert visitor.open(path).status_code == status
    assert len(cache_of(app)) == 0


@SQLITE
def test_a_process_keeps_only_so_many_pages(app: Flask, visitor: Visitor) -> None:
    months = [
        f"/calendar/{year}-{month:02}" for year in range(2027, 2037) for month in range(1, 13)
    ]
    for path in (*months, *(f"{each}?lang=es" for each in months)):
        assert visitor.open(path).status_code == 200
    assert len(cache_of(app)) == MAX_PAGES < 2 * len(months)
    assert is_kept(app, visitor, path), "what was asked for last stays"


@pytest.mark.parametrize("path", FORMS)
def test_a_form_has_its_own_signed_time_each_time_and_nobody_keeps_it(
    visitor: Visitor, path: str
) -> None:
    tokens = set()
    for _ in range(3):
        answer = visitor.open(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "ETag" not in answer.headers
        tokens.add(Form(answer.text).fields["csrf_token"])
    assert len(tokens) == 3
    assert "" not in tokens


def test_a_form_that_was_kept_is_taken(app: Flask, visitor: Visitor) -> None:
    visitor.open("/groups/asian/join")
    assert is_kept(app, visitor, "/groups/asian/join")
    assert visitor.send("/groups/asian/join", email="ada@dpsk12.org").status_code == 303


@SQLITE
def test_a_head_request_is_answered_as_a_get_without_its_body(visitor: Visitor) -> None:
    got, head = visitor.open("/"), visitor.client.head("/")
    assert head.data == b""
    for name in ("ETag", "Content-Length", "Cache-Control", "Content-Type"):
        assert head.headers[name] == got.headers[name]


@SQLITE
def test_a_group_that_ended_is_gone_from_every_page_at_once(
    visitor: Visitor, services: Services
) -> None:
    assert "Autoimmune" in visitor.open("/").text
    with services.writing.begin() as session:
        group = session.get(Group, group_named(session, "autoimmune").id)
        assert group is not None
        group.retired_at = group.created_at
    assert "Autoimmune" not in visitor.open("/").text
    assert visitor.open("/groups/autoimmune").status_code == 404
