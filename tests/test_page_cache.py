"""Public pages are built once, until what they show changes; nothing of a visitor's is kept."""

import gzip
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request, template_rendered
from sqlalchemy import (
    JSON,
    Boolean,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    Time,
    event,
    null,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations
from belong_mail.accounts.models import GroupLead
from belong_mail.app import create_app
from belong_mail.core.db import Base, new_public_id, now
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.core.site_settings import SiteSetting
from belong_mail.groups.models import Group, Question
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
    "/", "/privacy", "/accessibility", "/calendar", "/calendar/2027-03", "/calendar.ics",
    "/new-colleagues", "/new-colleagues/sheet", "/new-colleagues/mail",
)  # fmt: skip
OF_A_GROUP = (
    "/groups/asian", "/groups/asian?lang=es", "/groups/autoimmune", "/groups/asian/poster",
    "/calendar?group=asian", "/calendar?group=asian&lang=es", "/calendar/2027-03?group=asian",
    "/groups/asian/calendar.ics",
)  # fmt: skip
FORMS = ("/groups/asian/join", "/groups/autoimmune/tell-me", "/contact", "/my-groups")
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TABLE = re.compile(r"(?:FROM|JOIN) (\w+)")
# What no public page shows, and none is built anew for; of a right to lead, what moves its end.
PRIVATE = {
    *(f"groups.{name}" for name in (
        "welcome", "before", "wrapped_mailbox", "members_shown", "second_yes", "created_at",
        "telling_words", "announced_end", "announced_at", "emptied_at",
    )),
    *(f"site_settings.{name}" for name in ("changed_at", "announced_at", "announced", "wrapped")),
    *(f"questions.{name}" for name in ("approved_at", "proposed_at")),
    *(f"group_interests.{name}" for name in ("members_shown", "forgotten_at")),
    *(f"leaderships.{name}" for name in (
        "since", "accepted_at", "ends_at", "reminded_at", "wrapped_right",
    )),
    *(f"accounts.{name}" for name in (
        "public_id", "address_index", "wrapped_address", "language", "name", "is_office",
        "office_since", "office_ends_at", "office_reminded_at", "wrapped_office",
        "passkey_declined_at", "created_at",
    )),
}  # fmt: skip
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


def tag(visitor: Visitor, path: str = "/") -> str:
    return visitor.open(path).headers["ETag"]


@pytest.mark.parametrize("path", [*WITH_TAG, *OF_A_GROUP, *FORMS])
def test_a_page_is_built_once(app: Flask, visitor: Visitor, path: str) -> None:
    first = visitor.open(path)
    again = visitor.open(path)
    assert again.content_type == first.content_type
    if path not in FORMS:
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
    assert varies == {"Accept-Encoding", "Accept-Language", "Cookie"}


@SQLITE
@pytest.mark.parametrize("path", OF_A_GROUP)
@pytest.mark.parametrize("accepted", ["gzip", "identity"])
def test_no_browser_keeps_a_page_whose_url_names_a_group(
    app: Flask, visitor: Visitor, path: str, accepted: str
) -> None:
    """Another site of the district's could time whether it has one: we keep it, and it does not."""
    visitor.headers = {"Accept-Encoding": accepted, "If-None-Match": "*"}
    for _ in range(2):
        answer = visitor.open(path)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
        assert not {"ETag", "Last-Modified", "Expires"} & {*answer.headers.keys()}
        assert (answer.headers.get("Content-Encoding") == "gzip") == (accepted == "gzip")
    assert is_kept(app, visitor, path)


@SQLITE
@pytest.mark.parametrize("cookie", ["_ga=GA1.2.345", "belong-x=1", "x=1; _ga=GA1.2.345"])
@pytest.mark.parametrize("path", ["/", "/groups/asian", "/calendar?group=asian", "/contact"])
def test_cookies_of_the_parent_domain_change_nothing(
    app: Flask, visitor: Visitor, path: str, cookie: str
) -> None:
    visitor.headers = {"Accept-Encoding": "gzip"}
    without = visitor.open(path)
    visitor.headers |= {"Cookie": cookie}
    answer = visitor.open(path)
    for name in ("Cache-Control", "ETag", "Content-Encoding", "Vary", "Content-Type"):
        assert answer.headers.get(name) == without.headers.get(name), name
    assert path == "/contact" or answer.data == without.data
    assert is_kept(app, visitor, path)


@SQLITE
@pytest.mark.parametrize("cookie", ["belong=x", "belong-known=x", "_ga=1; belong=x"])
def test_each_cookie_of_ours_means_a_page_of_ones_own(
    app: Flask, visitor: Visitor, cookie: str
) -> None:
    visitor.headers = {"Accept-Encoding": "gzip", "Cookie": cookie}
    answer = visitor.open("/")
    assert answer.headers["Cache-Control"] == "no-store"
    assert not {"ETag", "Content-Encoding"} & {*answer.headers.keys()}
    assert len(cache_of(app)) == 0


@SQLITE
def test_no_page_hears_of_cookies_but_ours(app: Flask) -> None:
    sent = {"HTTP_COOKIE": "_ga=GA1.2.345; belong=a; belong-known=b; belong-x=c; __Host-x=d"}
    with app.test_request_context("/", environ_overrides=sent):
        assert {**request.cookies} == {"belong": "a", "belong-known": "b"}


@SQLITE
@pytest.mark.parametrize("path", ["/contact", "/contact?x=1"])
def test_whom_to_call_in_a_crisis_is_told_with_a_broken_database(
    visitor: Visitor, services: Services, path: str
) -> None:
    """What is no database at all gives another error than one that is locked or away."""
    assert visitor.open(path).status_code == 200
    services.engine.dispose()
    file = Path(services.engine.url.database or "")
    for each in file.parent.glob(f"{file.name}-*"):
        each.unlink()
    file.write_bytes(b"This was a database. " * 1000)
    answer = visitor.open(path)
    assert answer.status_code == 200
    assert "988" in answer.text
    assert "911" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


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


def shown_rows(app: Flask) -> dict[str, Any]:
    """Return what public pages are compared by, each statement once."""
    views = app.view_functions.values()
    named = [each for view in views for each in getattr(view, "cached_by", ())]
    return {str(each): each for each in named}


def add_rows(session: Session, keyring: Keyring) -> None:
    """Add a row of each table that has none yet."""
    session.add(SiteSetting(name="video_url", value="https://example.org/a"))
    meeting = plan_meeting(session)
    meetings.cancel_day(meeting, meeting.starts_on)
    group = group_named(session, "asian")
    invitations.invite(session, keyring.opener, keyring.index, group, "ada@dpsk12.org")


def test_a_write_to_what_pages_show_builds_them_anew_and_any_other_write_does_not(
    app: Flask, visitor: Visitor, services: Services, keyring: Keyring
) -> None:
    """The writes are plain SQL: what the ORM does not see, as of a migration, counts too."""
    shown = shown_rows(app)
    app.add_url_rule("/probe", "probe", public(cached_by(*shown.values())(new_public_id)))
    with services.writing.begin() as session:
        add_rows(session, keyring)
        # The first of the table, which is tried below.
        first_group = session.scalars(select(Group).order_by(Group.id)).first()
        assert first_group is not None
        first_group.wrapped_mailbox = b"an address"
    dialect, private = services.engine.dialect.name, set()
    tables = [Base.metadata.tables[name] for each in shown for name in TABLE.findall(each)]
    for table in dict.fromkeys(tables):
        columns = [each for each in table.columns if not (each.primary_key or each.foreign_keys)]
        key, *_ = table.primary_key
        first = f"{key.name} = (SELECT min({key.name}) FROM {table.name})"  # noqa: S608 - our own names
        for column in columns:
            change = f"UPDATE {table.name} SET {column.name} = {other(column, dialect)}"  # noqa: S608 - our own names
            minute, before = now().minute, visitor.open("/probe").text
            with services.engine.begin() as connection:
                assert connection.execute(text(f"{change} WHERE {first}")).rowcount == 1
            is_same = visitor.open("/probe").text == before
            if is_same:
                private.add(f"{table.name}.{column.name}")
            elif f"{table.name}.{column.name}" in PRIVATE:
                assert now().minute != minute, column
    assert private <= PRIVATE, "a page that shows this would be old"


def test_a_page_tells_by_its_time_of_no_count_nor_of_who_leads(
    app: Flask, visitor: Visitor, services: Services, keyring: Keyring
) -> None:
    with services.writing.begin() as session:
        add_rows(session, keyring)
    path = "/groups/asian/join"

    def is_new_after(change: Callable[[Session], None]) -> bool:
        """Tell whether a page is built anew in the same minute, for the change alone."""
        while True:
            visitor.open(path)
            minute = now().minute
            with services.writing.begin() as session:
                change(session)
            is_new = is_built(app, visitor, path)
            if now().minute == minute:
                return is_new

    def count(session: Session) -> None:
        group_named(session, "asian").members_shown = 70

    def suggest(session: Session) -> None:
        session.add(Question(group_id=group_named(session, "asian").id, position=9, kind="text",
                             label={"en": "Why?"}, approved_at=null()))  # fmt: skip

    def lead(session: Session) -> None:
        group = group_named(session, "asian")
        invitations.invite(session, keyring.opener, keyring.index, group, "bo@dpsk12.org")

    def rename(session: Session) -> None:
        group_named(session, "asian").name = new_public_id()

    def end_leads(session: Session) -> None:
        session.execute(update(GroupLead).values(ends_at=now()))

    assert [each.__name__ for each in (count, suggest, lead) if is_new_after(each)] == []
    assert is_new_after(rename)
    assert is_new_after(end_leads), "nobody is left to be introduced to"


def test_every_table_that_a_page_reads_is_named_at_its_view(
    app: Flask, visitor: Visitor, services: Services
) -> None:
    with services.writing.begin() as session:
        plan_meeting(session, slug="asian")
    read: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        read.extend(TABLE.findall(statement))

    event.listen(services.engine, "before_cursor_execute", note)
    for path in (*WITH_TAG, *OF_A_GROUP, *FORMS):
        read.clear()
        visitor.open(path)
        endpoint, _ = app.url_map.bind("localhost").match(path.partition("?")[0])
        shown = vars(app.view_functions[endpoint])["cached_by"]
        assert {*read} <= {name for each in shown for name in TABLE.findall(str(each))}, path
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
    assert is_built(app, visitor, "/")
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
