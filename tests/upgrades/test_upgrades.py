"""From each released schema, made by its own code: what waits leaves once, and all is readable."""

import gzip
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import Boolean, DateTime, Engine, MetaData, create_engine, select, text
from sqlalchemy.types import JSON

from belong_mail.accounts import invitations
from belong_mail.accounts.models import Account
from belong_mail.app import create_app
from belong_mail.core.db import make_engine
from belong_mail.core.decryption import Keyring, worker_keys
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services
from belong_mail.delivery.models import Delivery
from belong_mail.groups.missions import MISSIONS, NO_MISSION
from belong_mail.groups.seeds import ESTABLISHED, UPCOMING
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops import schema
from belong_mail.worker.loop import make_worker
from config import Config
from tests.browser_client import link_to
from tests.delivery.factories import books
from tests.factories import group_named
from tests.postgres import postgresql
from tests.servers.smtp import Server
from tests.upgrades import make

SCHEMAS = sorted((Path(__file__).parent / "schemas").glob("*.sql.gz"))
# Soon after the schemas were made: what waits in them has not expired.
MADE_AT = datetime(2026, 11, 26, 5, 20, tzinfo=UTC)


@pytest.fixture
def old(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A SQLite file as the old code left it."""
    file = tmp_path / "old.db"
    with sqlite3.connect(file) as database:
        database.executescript(gzip.decompress(request.param.read_bytes()).decode())
    return file


@pytest.fixture(scope="module")
def blank_postgresql() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def old_url(old: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The same database, on each of both: for PostgreSQL the rows are copied, table by table."""
    if request.param == "sqlite":
        yield f"sqlite:///{old}"
        return
    url: str = request.getfixturevalue("blank_postgresql")
    engine = make_engine(url)
    copy(old, engine)
    yield url
    schema.downgrade(engine, "base")
    engine.dispose()


def copy(old: Path, engine: Engine) -> None:
    """Copy each row into a PostgreSQL database of the same step."""
    source = create_engine(f"sqlite:///{old}")
    tables, found = MetaData(), MetaData()
    with source.connect() as reading:
        step = reading.scalar(text("SELECT version_num FROM alembic_version"))
        assert step is not None
        schema.upgrade(engine, step)
        found.reflect(engine)
        tables.reflect(reading)
        with engine.begin() as writing:
            for table in found.sorted_tables:
                if table.name == "alembic_version":
                    continue
                rows = reading.exec_driver_sql(f"SELECT * FROM {table.name}").mappings().all()  # noqa: S608
                if rows:
                    made = [{k: value(table.c[k].type, v) for k, v in row.items()} for row in rows]
                    writing.execute(table.insert(), made)
                if "id" in table.c and rows:
                    name = f"pg_get_serial_sequence('{table.name}', 'id')"
                    writing.exec_driver_sql(f"SELECT setval({name}, max(id)) FROM {table.name}")  # noqa: S608
    source.dispose()


def value(kind: Any, stored: Any) -> Any:
    """Turn what SQLite stores into what a column of PostgreSQL takes."""
    if stored is None:
        return None
    if isinstance(kind, Boolean):
        return bool(stored)
    if isinstance(kind, DateTime):
        return datetime.fromisoformat(stored).replace(tzinfo=UTC)
    return json.loads(stored) if isinstance(kind, JSON) else stored


@pytest.fixture
def settings(old_url: str, relay: Server, tmp_path: Path) -> dict[str, str]:
    return {
        **make.KEYS,
        "BELONG_BASE_URL": "http://localhost:5000",
        "BELONG_DATABASE_URL": old_url,
        "BELONG_SMTP_URL": f"smtp://127.0.0.1:{relay.port}?tls=none&timeout=20&dot_timeout=20",
        "BELONG_STATE_FOLDER": str(tmp_path / "state"),
        "BELONG_COPY_TO_OFFICE": "no",
    }


@pytest.fixture
def is_early(old: Path) -> bool:
    """Tell whether an old database is of a step before rights were proven."""
    return step_of(old) < schema.PROVEN


def step_of(file: Path) -> str:
    with sqlite3.connect(file) as database:
        [[step]] = database.execute("SELECT version_num FROM alembic_version")
        return str(step)


@pytest.fixture
def upgraded(settings: dict[str, str], is_early: bool) -> Iterator[Flask]:  # noqa: FBT001
    """The app of today on the old database, upgraded by the command."""
    with time_machine.travel(MADE_AT):
        app = create_app(Config.read(settings))
        cli = app.test_cli_runner()
        said = cli.invoke(args=["db", "upgrade"])
        assert said.exit_code == 0, said.output
        *taken_over, up_to_date = said.output.splitlines()
        assert [each.partition(": ")[0] for each in taken_over] == (
            ["Rights to lead a group taken over from the older version"] if is_early else []
        )
        assert up_to_date == "The database is up to date."
        assert cli.invoke(args=["db", "check"]).exit_code == 0
        yield app
        app.extensions["belong"].engine.dispose()


def same_host(services: Services, folder: Path) -> None:
    """Leave the state folder of the host that the old database knows, if it knows one."""
    with services.reading.begin() as session:
        hosts = session.execute(text("SELECT folder, epoch FROM hosts")).all()
    for name, epoch in hosts:
        folder.mkdir()
        (folder / "witness").write_text(json.dumps({"folder": name, "epoch": epoch}))


@pytest.mark.parametrize("old", SCHEMAS, ids=lambda file: file.name[:12], indirect=True)
def test_what_waits_in_a_released_schema_leaves_once_and_is_read(
    upgraded: Flask,
    relay: Server,
    settings: dict[str, str],
    is_early: bool,  # noqa: FBT001
) -> None:
    services: Services = upgraded.extensions["belong"]
    same_host(services, Path(settings["BELONG_STATE_FOLDER"]))
    keyring = Keyring(*worker_keys(services.settings.private_keys, services.settings.index_keys))
    for _ in range(2):
        worker = make_worker(services, keyring)
        worker.drain()
        assert worker.held_because is None
        worker.engine.close()
    copies = Counter(one.recipient for one in relay.accepted)
    invited = () if is_early else (make.LEAD,)
    assert copies == dict.fromkeys((*make.MEMBERS, make.READ, make.UNREAD, *invited), 1)
    for address in make.MEMBERS:
        [mail] = relay.to(address)
        assert mail["Subject"] == "Begun"
        assert "library" in str(mail.get_body(("plain",)))
    for address in (make.READ, make.UNREAD):
        [mail] = relay.to(address)
        page = upgraded.test_client().get(link_to(mail, "confirm"))
        assert page.status_code == 200
    with services.reading.begin() as session:
        begun, planned = session.scalars(select(Newsletter).order_by(Newsletter.id))
        assert planned.queued_at is None
        assert planned.due_at is not None
        [lead] = session.scalars(select(Account))
        assert invitations.account_address(keyring.opener, keyring.index, lead) == make.LEAD
        assert session.scalars(select(Job)).all() == []
        assert {one.state for one in session.scalars(select(Delivery))} == {"accepted"}
    assert books(services, begun.id) == {"recipients": 3, "accepted": 3}


@pytest.mark.parametrize(
    "old", [SCHEMAS[0], SCHEMAS[-1]], ids=lambda file: file.name[:12], indirect=True
)
def test_groups_of_a_released_schema_get_the_words_of_a_new_database(upgraded: Flask) -> None:
    services: Services = upgraded.extensions["belong"]
    with services.reading.begin() as session:
        summaries = {slug: summary for slug, _, summary, _ in ESTABLISHED}
        summaries |= {slug: summary for slug, _, summary in UPCOMING}
        for slug, summary in summaries.items():
            group, own = group_named(session, slug), MISSIONS.get(slug, NO_MISSION)
            assert group.summary == summary
            assert (group.mission, group.activities) == (own.mission, own.activities)
            assert group.audience == own.audience


def test_each_released_step_has_its_schema() -> None:
    """Some were never the newest step of a version: they came with others."""
    steps = {file.name[:4] for file in SCHEMAS}
    released = {f"{number:04}" for number in range(1, 14)} - {"0004", "0007", "0012"}
    released |= {"0036", "0040", "0041", "0042"}
    assert steps == released
