"""In PostgreSQL the web has a role of its own, which can do what its pages do, and no more."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import (
    Column,
    Engine,
    Executable,
    Integer,
    MetaData,
    Table,
    delete,
    func,
    insert,
    null,
    select,
    text,
    update,
)
from sqlalchemy.exc import ProgrammingError

from belong_mail.app import create_app
from belong_mail.contact.models import Thread
from belong_mail.core.db import Base, make_engine
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops import grants
from belong_mail.ops.grants import WEB
from config import Config
from tests import crawl
from tests.browser_client import Visitor, link_to, text_of
from tests.clients import signed_in
from tests.database import do, execute
from tests.factories import make_member, members_of, queue_at_once, queue_issue
from tests.inbound.mail import complaint
from tests.markers import on_both, on_postgresql
from tests.processes import feed, run
from tests.scenario import Scenario
from tests.web_role import is_listed, role_of, unlisted, url_of_web

pytestmark = on_both("rights of the web's role")

Settings = dict[str, str]
TABLES = Base.metadata.tables
COLUMNS = [(table.name, column.name) for table in TABLES.values() for column in table.columns]
FIXED, UNFILLED = (
    [(table, name) for table, name in COLUMNS if not is_listed(table, command, name)]
    for command in ("UPDATE", "INSERT")
)
KEPT = [table for table in TABLES if not is_listed(table, "DELETE", "")]
DEFINING = (
    "CREATE TABLE mine (id int)",
    "CREATE TEMPORARY TABLE mine (id int)",
    "CREATE VIEW mine AS SELECT 1",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "CREATE ROLE mine",
    "ALTER TABLE deliveries ADD COLUMN mine int",
    "ALTER TABLE groups DISABLE ROW LEVEL SECURITY",
    "DROP TABLE limits",
    "DROP POLICY belong_web_update ON groups",
    "CREATE POLICY mine ON groups FOR UPDATE USING (true)",
    "SET session_replication_role = replica",
    "COPY limits FROM PROGRAM 'true'",
)
TRIGGER = (
    "CREATE TRIGGER mine BEFORE INSERT ON {} EXECUTE FUNCTION suppress_redundant_updates_trigger()"
)


@pytest.fixture(scope="module")
def web(migrated_postgresql: Engine) -> Iterator[Engine]:
    engine = make_engine(url_of_web(migrated_postgresql.url.render_as_string(hide_password=False)))
    yield engine
    engine.dispose()


def refusal(engine: Engine, statement: str | Executable) -> str:
    try:
        with engine.begin() as connection:
            connection.execute(text(statement) if isinstance(statement, str) else statement)
    except ProgrammingError as refused:
        return str(refused.orig)
    return f"taken: {statement}"


def test_the_web_can_do_nothing_to_a_table_that_no_page_does(web):
    """It changes, fills, deletes and reads what is listed; it empties none and sets no trigger."""
    for table, column in FIXED:
        changed = update(TABLES[table]).values({column: null()})
        assert f"permission denied for table {table}" in refusal(web, changed)
    for table, column in UNFILLED:
        filled = insert(Table(table, MetaData(), Column(column))).values({column: None})
        assert f"permission denied for table {table}" in refusal(web, filled)
    for table in KEPT:
        assert f"permission denied for table {table}" in refusal(web, delete(TABLES[table]))
    for table in TABLES.keys() - WEB.keys():
        assert "permission denied" in refusal(web, select(TABLES[table]))
    for table in TABLES:
        assert "permission denied" in refusal(web, f"TRUNCATE {table} CASCADE")
        assert "permission denied" in refusal(web, TRIGGER.format(table))


def test_the_web_defines_nothing_and_does_not_become_the_owner(web, migrated_postgresql):
    for statement in DEFINING:
        said = refusal(web, statement)
        assert "permission denied" in said or "must be owner" in said, said
    with migrated_postgresql.connect() as connection:
        owner = connection.scalar(text("SELECT current_user"))
    assert "permission denied to set role" in refusal(web, f'SET ROLE "{owner}"')


def test_only_the_worker_changes_columns_that_name_or_hide_somebody():
    """The list itself: whoever adds to it has to mean it."""
    secret = ("_index", "_hash", "_key", "public_id", "confirm_id", "kind", "slug")
    changeable = {(table, name) for table, rights in WEB.items() for name in rights.update.split()}
    assert changeable <= set(COLUMNS)
    assert [
        (table, name)
        for table, name in changeable
        if name.endswith(secret) or name.startswith(("wrapped", "sealed", "locked"))
    ] == []
    for table in ("accounts", "rights", "subscriptions", "suppressions", "rendered_issues"):
        assert WEB.get(table, grants.READS).insert == ""
    assert {WEB["deliveries"], WEB["chunks"]} == {grants.READS}
    assert {name for rights in WEB.values() for name in rights.insert.split()} <= {
        name for _, name in COLUMNS
    }


@on_postgresql
def test_the_web_deletes_no_sent_issue_and_plans_none(worker, services, web):
    with services.writing.begin() as session:
        group_id = queue_at_once(worker, session).group_id
    with web.begin() as connection:
        assert connection.execute(delete(Newsletter)).rowcount == 0
    planned = insert(Newsletter).values(group_id=group_id, ended_at=func.now())
    assert "violates row-level security" in refusal(web, planned)


@on_postgresql
def test_the_web_writes_nothing_that_the_worker_would_delete_soon(services, keyring, web):
    """One statement deleted every membership of the district within a minute, unheard."""
    with services.writing.begin() as session:
        make_member(session, keyring, "ada@dpsk12.org")
        session.add(Thread(reference="K7QM-2XRD", receipt_key=b"key", topic="need"))
    for mark in (
        # The moment when its transaction began, which may be long ago.
        "subscriptions SET ended_at = now() - interval '1 day'",
        "threads SET last_at = now() - interval '1 day'",
        "subscriptions SET ended_at = now() - interval '25 hours'",
        "subscriptions SET ended_at = '-infinity'",
        "subscriptions SET ended_at = 'infinity'",
        "subscriptions SET confirmed_at = NULL",
        "subscriptions SET confirmed_at = NULL, ended_at = now()",
        "threads SET last_at = 'infinity'",
    ):
        assert "violates row-level security" in refusal(web, f"UPDATE {mark}")
    begun = (
        "INSERT INTO threads (reference, receipt_key, topic, last_at) VALUES ('K', 'k', 'need', "
    )
    assert "violates row-level security" in refusal(web, f"{begun}'infinity')")
    assert refusal(web, ended := "UPDATE subscriptions SET ended_at = now()") == f"taken: {ended}"


def test_the_web_uses_up_no_number(migrated_postgresql, web):
    """At a million numbers a second, the eight bytes of an id last 290,000 years."""
    names = select(text("sequencename, max_value FROM pg_sequences"))
    with migrated_postgresql.connect() as connection:
        ends = {row[0]: row[1] for row in connection.execute(names)}
    for name, end in ends.items():
        assert end == 2**63 - 1, name
        assert "permission denied" in refusal(web, f"SELECT setval('{name}', {end})")
    short = [
        str(column)
        for table in TABLES.values()
        for column in table.columns
        if (column.name == "id" or column.name.endswith("_id") or column.foreign_keys)
        and type(column.type) is Integer
    ]
    assert short == []


@pytest.fixture
def site(environment: Settings, services) -> Iterator[Flask]:
    """The app as the web runs it: with a role of its own, and none of the worker's keys.

    The web has used up all ids of four bytes.
    """
    url = url_of_web(environment["BELONG_DATABASE_URL"])
    with services.writing.begin() as session:
        used = "SELECT setval(oid::regclass, :used) FROM pg_class WHERE relkind = 'S'"
        session.execute(text(used), {"used": 2**31})
    without = {"BELONG_PRIVATE_KEYS": "", "BELONG_INDEX_KEYS": ""}
    app = create_app(Config.read({**environment, "BELONG_DATABASE_URL": url, **without}))
    yield app
    app.extensions["belong"].engine.dispose()


@on_postgresql
def test_a_whole_life_with_two_roles(site, environment, services, keyring, worker, relay):
    visitor = Visitor(site.test_client(use_cookies=False))
    scenario = Scenario(visitor, worker, relay, services, keyring)
    links = crawl.mailed_links(scenario)
    for stop in crawl.stops(services, links, crawl.reference_of(visitor)):
        with visitor.open(stop.url) as answer:
            assert answer.status_code < 500, stop.name
    for name, answer in crawl.pressed(visitor, links):
        assert answer.status_code < 500, name
    typed = {"first_name": "Ada", "introduce_me": "y"}
    assert visitor.join("the-village", "ada@dpsk12.org", **typed).status_code == 303
    worker.drain()
    [mail] = relay.to("ada@dpsk12.org")
    assert visitor.follow(link_to(mail, "confirm")).status_code == 200
    worker.drain()
    assert "Ada" in text_of(relay.to("ada@dpsk12.org")[-1])
    assert "Ada" in text_of(relay.to(crawl.LEAD)[-1])
    lead = signed_in(site, keyring, crawl.LEAD)
    for answer in crawl.all_of_a_lead(lead, services):
        assert answer.status_code < 500
    proved = [each.status_code for each in crawl.prove_again(lead, scenario)]
    assert proved == [403, 200, 303, 200]
    do(services, queue_issue)
    worker.drain()
    issue = relay.to("ada@dpsk12.org")[-1]
    returned = environment | {"BELONG_DATABASE_URL": url_of_web(environment["BELONG_DATABASE_URL"])}
    assert feed(returned, complaint(issue["Return-Path"] or ""), "inbound").returncode == 0
    with services.reading.begin() as session:
        members = members_of(session, "the-village")
    one_click = issue["List-Unsubscribe"].strip("<>")
    pressed = visitor.press(one_click, **{"List-Unsubscribe": "One-Click"})
    assert pressed.status_code == 204
    with services.reading.begin() as session:
        assert members_of(session, "the-village") == members - 1


def named(environment: Settings) -> Settings:
    role = role_of(environment["BELONG_DATABASE_URL"])
    quiet = {"BELONG_SMTP_URL": "mailbox:", "PGOPTIONS": "-c synchronous_commit=on"}
    return {**environment, **quiet, "BELONG_WEB_DATABASE_ROLE": role}


def doctor(settings: Settings) -> tuple[int, str]:
    ended = run(settings, "doctor")
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stdout


@on_postgresql
def test_the_doctor_says_whether_the_webs_role_has_exactly_its_rights(environment, services):
    settings, role = named(environment), role_of(environment["BELONG_DATABASE_URL"])
    assert "share one PostgreSQL role" in doctor({**settings, "BELONG_WEB_DATABASE_ROLE": ""})[1]
    code, said = doctor(settings)
    assert (code, "has exactly the rights" in said) == (0, True)
    for change, expected in (
        (f"GRANT UPDATE (kind) ON deliveries TO {role}", "1 rights that it must not have"),
        (
            f"REVOKE DELETE ON manage_sessions FROM {role}",
            "lacks 1 rights that it needs, such as: DELETE manage_sessions",
        ),
        (f"GRANT SELECT (reason) ON suppressions TO {role}", "such as: SELECT suppressions"),
        ("ALTER TABLE groups DISABLE ROW LEVEL SECURITY", "such as: POLICY groups"),
        ("CREATE POLICY more ON groups USING (true)", "such as: POLICY groups more"),
        (f"GRANT CREATE ON SCHEMA public TO {role}", "CREATE in the schema"),
        ("GRANT INSERT ON rights TO PUBLIC", "such as: INSERT rights"),
    ):
        execute(services, text(change))
        code, said = doctor(settings)
        assert code == 1
        assert expected in said
        assert run(settings, "db", "upgrade").returncode == 0
        if "POLICY" in change:
            execute(services, text("DROP POLICY more ON groups"))
    assert doctor(settings)[0] == 0


@on_postgresql
def test_a_new_table_and_a_new_column_are_refused_until_they_are_listed(environment, services, web):
    settings = named(environment)
    execute(services, text("CREATE TABLE notes (id int)"))
    execute(services, text("ALTER TABLE subscriptions ADD COLUMN note text"))
    try:
        assert run(settings, "db", "upgrade").returncode == 0
        assert "permission denied" in refusal(web, "SELECT 1 FROM notes")
        assert "permission denied" in refusal(web, "UPDATE subscriptions SET note = ''")
    finally:
        execute(services, text("DROP TABLE notes"))
        execute(services, text("ALTER TABLE subscriptions DROP COLUMN note"))


@on_postgresql
@pytest.mark.parametrize(
    ("role", "why"), [("nobody_here", "has no role nobody_here"), ("postgres", "is a superuser")]
)
def test_a_role_that_cannot_be_the_webs_is_refused_in_a_sentence(environment, services, role, why):
    settings = {**named(environment), "BELONG_WEB_DATABASE_ROLE": role}
    ended = run(settings, "db", "upgrade")
    assert (ended.returncode, why in ended.stderr) == (1, True)
    code, said = doctor(settings)
    assert (code, why in said) == (1, True)


def test_a_page_that_needs_more_than_is_listed_is_told_what():
    """Every test with the app ends with this question, on both databases."""
    for sql, missing in (
        ("UPDATE deliveries SET kind=? WHERE id = ?", "UPDATE deliveries kind"),
        (
            "INSERT INTO pending_confirmations (language, note) VALUES (?, ?)",
            "INSERT pending_confirmations language",
        ),
        ("DELETE FROM subscriptions WHERE id = ?", "DELETE subscriptions"),
        ("SELECT reason FROM suppressions", "SELECT suppressions"),
        (
            "INSERT INTO limits (key) VALUES (?) ON CONFLICT (key) DO UPDATE SET key = ?",
            "UPDATE limits key",
        ),
    ):
        assert any(missing in each for each in unlisted(sql)), sql
    assert unlisted("SELECT id FROM groups") == []
