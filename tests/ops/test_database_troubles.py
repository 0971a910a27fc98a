"""A database that is locked, cut off, read-only, full, lost, damaged, or refuses us."""

import hashlib
import re
import sqlite3
import subprocess
import threading
from collections import Counter
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from belong_mail.core.database_errors import error_name
from belong_mail.delivery.journal import JournalEntry, read_journal
from belong_mail.ops.user_errors import FULL, error_message
from tests.browser_client import Form
from tests.db_dump import kept_of
from tests.delivery.factories import books, queue
from tests.factories import make_members, queue_issue
from tests.markers import on_both, on_sqlite, one_by_day
from tests.ops.copies import Settings, refused
from tests.ops.troubles import LITTLE, cut, down, end, full, is_said, locked, once, read_only
from tests.processes import ROOT, SECONDS, flask, run, running, surroundings
from tests.servers.actions import Conversation
from tests.servers.ports import free_port
from tests.servers.site import running as site_running
from tests.waiting import wait_until

pytestmark = on_both("troubles of a database")

WORDS = "We need an interpreter for the meeting."
TYPED = {"message": WORDS, "topic": "need", "email": "writer@example.org"}


@pytest.fixture
def impatient(environment, database_url) -> Settings:
    """Settings with which nobody waits ten seconds for a lock."""
    if database_url.startswith("sqlite"):
        environment["BELONG_DATABASE_URL"] = f"{database_url}?timeout=1"
    return environment


@pytest.fixture(params=[down])
def trouble(database_url, tmp_path, request) -> AbstractContextManager[None]:
    """A database that nobody can use for a while: locked, or down, or read-only as a standby is."""
    if database_url.startswith("sqlite"):
        return locked(tmp_path / "belong.db")
    found: AbstractContextManager[None] = request.param(database_url)
    return found


def test_while_the_database_cannot_be_used_a_form_keeps_the_words_and_stores_nothing(
    impatient, app, visitor, trouble, relay
):
    form = Form(visitor.open("/contact").text).fields | TYPED
    with trouble:
        answer = visitor.client.post("/contact?lang=es", data=form)
        assert answer.status_code == 503
        assert answer.headers["Content-Language"] == "es"
        assert "No pudimos guardar tu mensaje." in answer.text
        assert f"{WORDS}</textarea>" in answer.text
        joined = visitor.forge("/groups/asian/join", email="ada@dpsk12.org")
        assert joined.status_code == 503
    assert visitor.client.post("/contact", data=form).status_code == 303
    assert relay.accepted == []


@on_sqlite
@pytest.mark.parametrize("path", ["/contact", "/contact?x=1"])
def test_the_crisis_lines_are_shown_with_a_broken_database(visitor, services, path):
    """A file that is no database gives another error than one that is locked or away."""
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


@pytest.mark.parametrize("trouble", [down, read_only], indirect=True)
def test_a_worker_waits_while_the_database_cannot_be_used_then_goes_on(
    impatient, relay, services, trouble
):
    issue = queue(services, 3)
    with running(impatient, "worker") as process:
        relay.wait_for(3, SECONDS)
        with trouble:
            said = is_said(process, "Database or state folder cannot be used")
        with services.writing.begin() as session:
            queue_issue(session)
        relay.wait_for(6, SECONDS)
        assert process.poll() is None
    assert "Traceback" not in said
    assert "dpsk12" not in said
    assert books(services, issue) == {"recipients": 3, "accepted": 3}


@pytest.mark.parametrize("settings", [{"BELONG_UNCERTAIN": "hold"}])
def test_an_answer_that_comes_while_the_database_cannot_be_used_outlives_a_kill(
    impatient, relay, services, trouble
):
    """It is read, and noted in the journal, while the worker waits for the database."""
    asked, may_answer = threading.Event(), threading.Event()

    def hesitate(conversation: Conversation) -> None:
        asked.set()
        may_answer.wait(SECONDS)
        conversation.say("250 2.0.0 Ok")

    relay.script("DOT", hesitate)
    issue = queue(services, 1)
    with running(impatient, "worker") as process:
        assert asked.wait(SECONDS)
        with trouble:
            is_said(process, "Database or state folder cannot be used")
            may_answer.set()
            [journal] = (services.settings.state_folder / "workers").glob("*.journal")
            wait_until(lambda: JournalEntry.ACCEPTED in read_journal(journal).marks.values())
            process.kill()
            process.wait()
    assert run(impatient, "worker", "--drain").returncode == 0
    assert books(services, issue) == {"recipients": 1, "accepted": 1}
    assert len(relay.accepted) == 1


@one_by_day("faults", of="database_url")
@pytest.mark.parametrize("settings", [{"BELONG_UNCERTAIN": "0"}])
@pytest.mark.parametrize("moment", ["DOT", "EHLO", "MAIL", "DATA"])
def test_a_cut_or_a_lock_at_any_moment_loses_nothing_and_doubles_only_after_the_dot(
    moment, impatient, relay, services, database_url, tmp_path
):
    """PostgreSQL ends each connection; SQLite is locked until the worker says that it waits."""
    is_sqlite = database_url.startswith("sqlite")
    issue = queue(services, 3)
    with ExitStack() as stack, ExitStack() as lock:
        strike = partial(lock.enter_context, locked(tmp_path / "belong.db"))
        relay.on(moment, once(strike if is_sqlite else partial(cut, database_url)))
        process = stack.enter_context(running(impatient, "worker"))
        if is_sqlite:
            assert "Traceback" not in is_said(process, "Database or state folder cannot be used")
            lock.close()
        relay.wait_for(3, SECONDS)
        end(process)
    finish(impatient, relay, services, issue, doubled="DOT" in moment)


def test_a_database_that_takes_no_change_is_not_ready_and_asking_changes_nothing(
    impatient, visitor, services, database_url, tmp_path
):
    """Another one writes without end, or it is a standby."""
    before = kept_of(services)
    assert visitor.open("/readyz").text == "ok\n"
    assert kept_of(services) == before
    is_sqlite = database_url.startswith("sqlite")
    with locked(tmp_path / "belong.db") if is_sqlite else read_only(database_url):
        assert visitor.open("/groups/asian").status_code == 200
        assert visitor.open("/readyz").status_code == 503
    assert visitor.open("/readyz").text == "ok\n"


def finish(settings, relay, services, issue: int, *, doubled: bool) -> None:
    """Let a next worker do what is left; nobody is missing, and copies stand in the books."""
    ended = run(settings, "worker", "--drain")
    assert (ended.returncode, ended.stdout) == (0, "Nothing is waiting.\n"), ended.stderr
    copies = Counter(one.recipient for one in relay.accepted)
    assert len(copies) == 3
    balance = books(services, issue)
    resent = balance.pop("resent", 0)
    assert balance == {"recipients": 3, "accepted": 3}
    assert len(relay.accepted) - 3 <= resent <= doubled


@on_sqlite
def test_a_full_disk_stops_the_worker_before_mail_and_the_form_keeps_the_words(
    environment, relay, services, keyring, tmp_path
):
    port = free_port()
    given = {**environment, "BELONG_BASE_URL": f"http://localhost:{port}"}
    with site_running(given, tmp_path, port) as site:
        form = Form(site.browser.get("/contact").text).fields | TYPED
        site.let_worker_begin()
        with full([*site.web_processes(), site.worker.pid]):
            with services.writing.begin() as session:
                make_members(session, keyring, 3)
                issue = queue_issue(session).id
            wait_until(lambda: b"cannot be used" in site.words())
            answer = site.browser.post("/contact", form)
            assert (answer.status_code, f"{WORDS}</textarea>" in answer.text) == (503, True)
            assert "We couldn’t store your message." in answer.text
            assert not [word for word in relay.commands if word.startswith("MAIL")]
        relay.wait_for(3, SECONDS)
        assert site.browser.post("/contact", form).status_code == 303
        relay.wait_for(4, SECONDS)
        assert b"Traceback" not in site.words()
        assert b"interpreter" not in site.words()
    assert books(services, issue) == {"recipients": 3, "accepted": 3}


@on_sqlite
def test_a_state_folder_that_is_full_at_the_start_is_said_in_a_sentence(
    environment, relay, services
):
    """And nothing of the worker that could not begin stays there."""
    issue = queue(services, 1)
    ended = subprocess.run(
        ["prlimit", f"--fsize={LITTLE}", *flask("worker")], cwd=ROOT, check=False,
        env=surroundings(environment), capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: BELONG_STATE_FOLDER cannot be used: File too large.")
    assert "Traceback" not in ended.stderr
    assert list((services.settings.state_folder / "workers").iterdir()) == []
    assert relay.accepted == []
    assert run(environment, "worker", "--drain").returncode == 0
    assert books(services, issue) == {"recipients": 1, "accepted": 1}


@on_sqlite
@pytest.mark.parametrize("command", ["worker --drain", "worker", "group list", "purge"])
def test_a_damaged_file_ends_with_a_sentence_and_is_left_as_it_is(
    command, environment, services, tmp_path
):
    services.engine.dispose()
    file = tmp_path / "belong.db"
    file.write_bytes(b"No database at all, says whoever fills it with words. " * 1000)
    before = hashlib.sha256(file.read_bytes()).digest()
    said = refused(environment, *command.split())
    assert said.startswith("Error: The database is damaged, or is not a database.")
    assert hashlib.sha256(file.read_bytes()).digest() == before


@on_sqlite
def test_a_lost_file_is_not_made_anew_by_web_worker_or_commands(
    environment, app, visitor, services, tmp_path
):
    """An empty database in place of the lost one would look as if nobody belonged."""
    services.engine.dispose()
    file = tmp_path / "belong.db"
    file.unlink()
    assert visitor.open("/").status_code == 503
    for command in ("worker --drain", "group list", "db check", "hold status", "status"):
        ended = run(environment, *command.split())
        assert ended.returncode == 1
        assert (ended.stderr + ended.stdout).startswith("Error: The database cannot be used"), (
            command
        )
    assert not file.exists()


def test_a_command_for_which_the_disk_has_no_room_says_so(services):
    """Its database says that it is full, as SQLite and PostgreSQL each do."""
    is_sqlite = services.engine.dialect.name == "sqlite"
    write = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$"
    with services.writing() as session:
        connection = session.connection()
        if is_sqlite:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            write = "CREATE TABLE more AS SELECT zeroblob(1000000)"
        with pytest.raises(OperationalError) as full:
            connection.exec_driver_sql(write)
    assert error_message(full.value) == FULL
    name = "SQLITE_FULL" if is_sqlite else "DiskFull"
    assert error_name(full.value) == f"OperationalError: {name}"


def test_a_disk_too_full_to_open_the_database_is_said_too():
    cause = sqlite3.OperationalError("disk I/O error")
    cause.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
    assert error_message(OperationalError(None, None, cause)) == FULL


NAMED = "geheim"
URL = f"postgresql+psycopg://{NAMED}:{NAMED}@127.0.0.1:{{}}/{NAMED}?sslmode=disable"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (f'password authentication failed for user "{NAMED}"', "refuses the password .* Put the"),
        (f'database "{NAMED}" does not exist', "no database .* Make it, or .* Then run `belong db"),
        (f'role "{NAMED}" does not exist', "does not know the user in BELONG_DATABASE_URL"),
        (f'no pg_hba.conf entry for user "{NAMED}"', "lets no one in from here .*: see its pg_hba"),
        ("pg_hba.conf rejects connection for host", "lets no one in from here"),
        ("Is the server running locally and accepting", "answer. Is it .*, and .* run `belong db"),
        ("the database system is shutting down", "does not answer"),
        ("canceling statement due to statement timeout", ": .* busy, .* lock. Not.* Try again"),
        ("database is locked", "Another process writes .* Nothing was changed. Try again"),
        ("sorry, too many clients already", "no connection left. Try again, or let it have more"),
        ("SSL error: certificate verify failed", "certificate cannot .* See sslmode and sslroot"),
        ("something else", "Check BELONG_DATABASE_URL, and run `belong db upgrade` as the worker"),
    ],
)
def test_each_refusal_of_a_server_has_its_own_sentence(said, words):
    refusal = psycopg.OperationalError(f"connection to server failed: FATAL:  {said}\n")
    told = error_message(OperationalError(None, None, refusal))
    assert told.startswith("The database cannot be used (OperationalError)")
    assert re.search(words, told)
    assert NAMED not in told


@on_sqlite
def test_a_server_that_is_stopped_does_not_answer(environment):
    url = URL.format(free_port())
    told = refused({**environment, "BELONG_DATABASE_URL": url}, "db", "check")
    assert "The server does not answer" in told
    assert NAMED not in told
    assert len(told.splitlines()) == 1
