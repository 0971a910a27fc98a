"""Databases of released schemas, on both kinds of database, and the app of today on them."""

import gzip
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import Boolean, DateTime, Engine, MetaData, create_engine, text
from sqlalchemy.types import JSON

from belong_mail.app import create_app
from belong_mail.core.db import make_engine
from belong_mail.core.services import Services
from belong_mail.ops import schema
from config import Config
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
        folder.mkdir(exist_ok=True)
        (folder / "witness").write_text(json.dumps({"folder": name, "epoch": epoch}))
