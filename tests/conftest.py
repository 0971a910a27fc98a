"""Shared by the tests: both databases, the app, a worker, and a real SMTP server."""

import gc
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
import time_machine
from flask import Flask
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from belong_mail.accounts import proven
from belong_mail.accounts.models import Account
from belong_mail.app import create_app
from belong_mail.core import encryption
from belong_mail.core.db import make_engine, now
from belong_mail.core.decryption import Keyring, worker_keys
from belong_mail.core.i18n import use_names
from belong_mail.core.services import Services
from belong_mail.ops import schema
from belong_mail.worker.loop import PURGE_GAP, Worker
from config import Config
from tests.browser_client import ReadingClient, Visitor
from tests.clients import sign_in
from tests.compiled import compile_once
from tests.crawl import mailed_links
from tests.factories import let_work_for_office
from tests.memory import keep_in_memory
from tests.postgres import empty, postgresql
from tests.scenario import Scenario
from tests.seeded import seed_groups
from tests.servers.smtp import Server
from tests.servers.tls import Authority
from tests.slowness import call_slow
from tests.web_role import give_rights, pages_as_web

pytest_plugins = ("tests.night",)
# A run that is asked to end ends what it has started, as by Ctrl-C.
signal.signal(signal.SIGTERM, signal.default_int_handler)

KEYS = encryption.new_keys()
compile_once()
call_slow()
keep_in_memory()
# Words that a test reads without an app have the names of development.
use_names(Config.read({f"BELONG_{kind.upper()}_KEYS": KEYS[kind] for kind in KEYS}).names)


@pytest.fixture(scope="session")
def blank_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sqlite") / "blank.db"
    schema.upgrade(engine := make_engine(f"sqlite:///{file}"))
    with engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return file


@pytest.fixture(scope="session")
def migrated_postgresql() -> Iterator[Engine]:
    """A migrated PostgreSQL database of this test process's own."""
    with postgresql() as url:
        schema.upgrade(engine := make_engine(url))
        give_rights(engine)
        yield engine
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database without a row: everything is tried on both."""
    return new_database(request, tmp_path)


def new_database(request: pytest.FixtureRequest, folder: Path) -> str:
    """Empty the database of the kind that is asked for; return its URL."""
    if request.param == "sqlite":
        file = folder / "belong.db"
        shutil.copy(request.getfixturevalue("blank_sqlite"), file)
        return f"sqlite:///{file}"
    engine: Engine = request.getfixturevalue("migrated_postgresql")
    empty(engine)
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture
def relay() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the certificates of servers."""
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def settings() -> dict[str, str]:
    """Settings that differ: `@pytest.mark.parametrize("settings", [{…}])`."""
    return {}


@pytest.fixture
def environment(
    database_url: str, relay: Server, tmp_path: Path, settings: dict[str, str],
    request: pytest.FixtureRequest,
) -> dict[str, str]:  # fmt: skip
    """The settings of the app under test; a test may change some before it asks for the app."""
    connections = 1 if request.node.get_closest_marker("one_connection") else 5
    patience = f"timeout=20&dot_timeout=20&connections={connections}"
    return {
        **settings_for(database_url, tmp_path / "state"),
        "BELONG_SMTP_URL": f"smtp://127.0.0.1:{relay.port}?tls=none&{patience}",
        **settings,
    }


def settings_for(database_url: str, state_folder: Path) -> dict[str, str]:
    """Return the settings that every test has, but for its relay."""
    return {
        "BELONG_BASE_URL": "http://localhost:5000",
        "BELONG_DATABASE_URL": database_url,
        "BELONG_SECRET_KEYS": KEYS["secret"],
        "BELONG_PUBLIC_KEYS": KEYS["public"],
        "BELONG_PRIVATE_KEYS": KEYS["private"],
        "BELONG_INDEX_KEYS": KEYS["index"],
        "BELONG_STATE_FOLDER": str(state_folder),
        "BELONG_COPY_TO_OFFICE": "no",
    }


@pytest.fixture
def app(environment: dict[str, str]) -> Iterator[Flask]:
    """The app; its pages have the rights of the web's role, all else those of the owner."""
    app = create_app(Config.read(environment))
    app.test_client_class = ReadingClient
    services: Services = app.extensions["belong"]
    with services.writing.begin() as session:
        seed_groups(session)
    with pages_as_web(services.engine):
        yield app
    services.engine.dispose()


@pytest.fixture
def services(app: Flask) -> Services:
    return cast("Services", app.extensions["belong"])


@pytest.fixture
def session(services: Services) -> Iterator[Session]:
    """A transaction of the test's own; it commits when the test ends well."""
    with services.writing.begin() as session:
        yield session


@pytest.fixture
def keyring(services: Services) -> Keyring:
    return worker_keys(services.settings.private_keys, services.settings.index_keys)


@pytest.fixture
def worker(
    services: Services, keyring: Keyring, request: pytest.FixtureRequest
) -> Iterator[Worker]:
    """A worker that has done its periodic tasks, unless the test is marked `periodic_tasks`.

    It has seen that its keys fit, too, which is half of a first turn.
    """
    worker = Worker(services, keyring)
    if request.node.get_closest_marker("periodic_tasks") is None:
        worker._purge_at = now() + PURGE_GAP
        worker._do_keys_fit = True
    yield worker
    worker.engine.close()


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app.test_client(use_cookies=False))


@pytest.fixture
def scenario(
    visitor: Visitor, worker: Worker, relay: Server, services: Services, keyring: Keyring
) -> Scenario:
    return Scenario(visitor, worker, relay, services, keyring)


@pytest.fixture
def links(scenario: Scenario) -> dict[str, str]:
    """The links that act, by their page, of every kind of mail: each was sent."""
    return mailed_links(scenario)


@pytest.fixture
def cli(app: Flask) -> Any:
    return app.test_cli_runner()


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what stays until the end: modules, tests, fixtures."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly, once, what a machine without a browser leaves untested."""
    for reason in {str(each.longrepr[2]) for each in terminalreporter.stats.get("skipped", [])}:
        if "NOT TESTED" in reason:
            terminalreporter.write_line(f"!!! {reason.removeprefix('Skipped: ')} !!!", red=True)


@pytest.fixture
def lead(app: Flask, keyring: Keyring) -> Visitor:
    """A signed-in lead of The Village."""
    return sign_in(app, keyring, "the-village")


@pytest.fixture
def other_lead(app: Flask, keyring: Keyring) -> Visitor:
    return sign_in(app, keyring, "asian")


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """A clock that stands still on a Monday morning, until a test moves it."""
    with time_machine.travel(datetime(2026, 3, 2, 9, tzinfo=UTC), tick=False) as clock:
        yield clock


@pytest.fixture
def office(lead: Visitor, services: Services, keyring: Keyring) -> Visitor:
    """The lead, who works for the office besides."""
    with services.writing.begin() as session:
        [account] = session.scalars(select(Account))
        address = proven.address_of(keyring, account)
        let_work_for_office(session, keyring, address)
    return lead
