"""Databases of released steps, on both kinds of database, and the app of today on them."""

import gzip
import json
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import DateTime, Engine, Index, MetaData, create_engine, inspect, text
from sqlalchemy.schema import CheckConstraint

from belong_mail.app import create_app
from belong_mail.core.db import Base, make_engine
from belong_mail.core.services import Services
from belong_mail.ops import schema
from config import Config
from tests.conftest import settings_for
from tests.migrations import make
from tests.postgres import drop_all, postgresql

RELEASED = sorted(file.name.removesuffix(".sql.gz") for file in make.FOLDER.glob("*.sql.gz"))


def unpacked(name: str) -> str:
    return gzip.decompress((make.FOLDER / name).read_bytes()).decode()


@pytest.fixture(params=RELEASED)
def released(tmp_path, request) -> Path:
    """A SQLite file as that version left it, named by its step."""
    file = tmp_path / f"{request.param}.db"
    with sqlite3.connect(file) as database:
        database.executescript(unpacked(f"{request.param}.sql.gz"))
    return file


@pytest.fixture(scope="module")
def blank_postgresql() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def released_url(released: Path, request) -> Iterator[str]:
    """The same database, on each of both: for PostgreSQL the rows are copied, table by table."""
    if request.param == "sqlite":
        yield f"sqlite:///{released}"
        return
    url: str = request.getfixturevalue("blank_postgresql")
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(unpacked(f"{released.stem}.postgresql.gz"))
    copy(released, engine)
    yield url
    drop_all(engine)
    engine.dispose()


def copy(released: Path, engine: Engine) -> None:
    """Copy each row into a PostgreSQL database of the same step."""
    source, tables, found = create_engine(f"sqlite:///{released}"), MetaData(), MetaData()
    with source.connect() as reading:
        tables.reflect(reading)
        found.reflect(engine)
        # Last, for a trigger has counted the copies as they came.
        in_order = sorted(found.sorted_tables, key=lambda table: table.name == "issue_counts")
        with engine.begin() as writing:
            for table in in_order:
                writing.execute(table.delete())
                rows = reading.execute(tables.tables[table.name].select()).mappings().all()
                for row in rows:
                    made = {name: value(table.c[name].type, kept) for name, kept in row.items()}
                    writing.execute(table.insert().values(made))
                if "id" in table.c and rows:
                    name = f"pg_get_serial_sequence('{table.name}', 'id')"
                    writing.exec_driver_sql(f"SELECT setval({name}, max(id)) FROM {table.name}")  # noqa: S608
    source.dispose()


TRIGGERS = {
    "sqlite": {
        "audit_entries_refuse_delete",
        "audit_entries_refuse_replace",
        "audit_entries_refuse_update",
        "deliveries_count_insert",
        "deliveries_count_update",
    },
    "postgresql": {"deliveries_count_insert", "deliveries_count_update"},
}
FIND_TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
}


def assert_as_the_models_say(engine: Engine) -> None:
    """Compare tables, columns, types, foreign keys and indexes; checks and triggers by name.

    On PostgreSQL also the one option of a table, the room beside each delivery.
    """
    assert schema.differences(engine) == []
    found = inspect(engine)
    assert set(found.get_table_names()) == {*Base.metadata.tables, "alembic_version"}
    for name, table in Base.metadata.tables.items():
        checks = {each.name for each in table.constraints if isinstance(each, CheckConstraint)}
        assert {each["name"] for each in found.get_check_constraints(name)} == checks, name
        assert {each.name: condition(each) for each in table.indexes} == {
            each["name"]: plain(each["dialect_options"].get(f"{engine.dialect.name}_where"))
            for each in found.get_indexes(name)
            if not each.get("duplicates_constraint")
        }
    kind = engine.dialect.name
    with engine.connect() as connection:
        assert set(connection.scalars(text(FIND_TRIGGERS[kind]))) == TRIGGERS[kind]
        if kind == "postgresql":
            options = "SELECT reloptions FROM pg_class WHERE relname = 'deliveries'"
            assert connection.scalar(text(options)) == ["fillfactor=50"]


def condition(index: Index) -> str:
    """Return of which rows an index is, as the model says it, which names SQLite's condition."""
    return plain(index.dialect_options["sqlite"]["where"])


def plain(condition: object) -> str:
    """Say a condition as both databases do: PostgreSQL adds brackets and types."""
    said = str("" if condition is None else condition).replace(" = 1", "")
    return re.sub(r"::\w+|[()]", "", said)


def value(kind: Any, stored: Any) -> Any:
    """Give a moment its zone, which SQLite does not keep."""
    return stored.replace(tzinfo=UTC) if stored and isinstance(kind, DateTime) else stored


@pytest.fixture
def settings(released_url: str, relay, tmp_path) -> dict[str, str]:
    url = f"smtp://127.0.0.1:{relay.port}?tls=none&timeout=20&dot_timeout=20"
    return settings_for(released_url, tmp_path / "state") | make.KEYS | {"BELONG_SMTP_URL": url}


@pytest.fixture
def upgraded(settings: dict[str, str]) -> Iterator[Flask]:
    """The app of today on the database, brought up to date by the command, on the same host."""
    app = create_app(Config.read(settings))
    services: Services = app.extensions["belong"]
    cli = app.test_cli_runner()
    with time_machine.travel(make.MADE_AT + timedelta(minutes=20)):
        for asked in ("upgrade", "check"):
            said = cli.invoke(args=["db", asked])
            assert said.exit_code == 0, said.output
        same_host(services, Path(settings["BELONG_STATE_FOLDER"]))
        yield app
    services.engine.dispose()


@pytest.fixture
def services(upgraded: Flask) -> Services:
    found: Services = upgraded.extensions["belong"]
    return found


def same_host(services, folder: Path) -> None:
    """Leave the state folder of the host that the database knows."""
    with services.reading.begin() as session:
        [(name, epoch)] = session.execute(text("SELECT folder, epoch FROM hosts")).all()
    folder.mkdir(exist_ok=True)
    (folder / "witness").write_text(json.dumps({"folder": name, "epoch": epoch}))
