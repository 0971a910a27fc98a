"""A database is moved from SQLite to PostgreSQL and back: whole, compared, and gone on with."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Engine,
    Integer,
    LargeBinary,
    String,
    Time,
    delete,
    insert,
    update,
)  # fmt: skip
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.types import Double

from belong_mail.core.db import Base, make_engine
from belong_mail.core.jobs import Job
from belong_mail.groups.models import Group
from belong_mail.newsletters.models import Image
from belong_mail.ops import move, schema
from tests.db_dump import dump
from tests.delivery.factories import queue
from tests.markers import on_both
from tests.ops.copies import refused
from tests.postgres import is_analyzed, postgresql
from tests.processes import SECONDS, run, running

pytestmark = on_both("moving from one to the other")

MEMBERS = 40
ROWS = 3
# Behind the groups that every database begins with.
FIRST = 100
BRIEFLY = "&options=-c%20lock_timeout%3D200ms"
JSON_VALUES = ({"en": 'Hëllo "you"', "es": "\ud800", "xx": "kept"}, {"b": 1, "a": [2.5]})
WORDS = ("Ana-María", 'it\'s "so"', "Z\u030c emoji 😀", "a", "B", "_", "é")
# Where not every value may stand.
GIVEN: dict[str, dict[str, object]] = {
    "audit_entries": {"role": "worker"},
    "deliveries": {"account_id": None, "sealed_to": None, "subscription_id": FIRST + 1},
}


@pytest.fixture
def other(database_url: str, tmp_path) -> Iterator[str]:
    """An empty database of the other kind."""
    if database_url.startswith("sqlite"):
        with postgresql() as url:
            yield url
    else:
        yield f"sqlite:///{tmp_path / 'moved.db'}"


@pytest.fixture
def target(other: str) -> Iterator[Engine]:
    engine = make_engine(other)
    yield engine
    engine.dispose()


def odd(column: Column[Any], number: int) -> object:
    """Make a value that a column may hold, and that is easily bent on the way."""
    kind = getattr(column.type, "impl", column.type)
    if column.nullable and number == (1 if column.foreign_keys else 2):
        return None
    if column.foreign_keys or (column.primary_key and isinstance(kind, Integer)):
        return FIRST + number
    length = getattr(kind, "length", None) or 99
    values: dict[type, object] = {
        JSON: JSON_VALUES[number % 2], Boolean: bool(number % 2), Double: 0.1 + number,
        BigInteger: 2**40 - number, Integer: 2**31 - number,
        DateTime: datetime(2026, 3, 8 + number, 9, 30, 0, number, tzinfo=UTC),
        Date: date(2024, 2, 29), Time: time(23, 59, number),
        LargeBinary: bytes([0, 255, number]), String: f"{WORDS[number]}{number}"[:length],
    }  # fmt: skip
    return next(value for each, value in values.items() if isinstance(kind, each))


def fill(engine: Engine) -> None:
    with engine.begin() as connection:
        for table in Base.metadata.sorted_tables:
            for number in range(1, ROWS + 1):
                row = {column.name: odd(column, number) for column in table.columns}
                connection.execute(insert(table), row | GIVEN.get(table.name, {}))


def left(_session: Session) -> None:
    """Do nothing to what was moved."""


def as_stored(engine: Engine) -> dict[str, list[Any]]:
    """Read all rows with JSON as it is stored."""
    with engine.connect() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(move.stored(table))), key=repr)
            for table in Base.metadata.sorted_tables
        }


def test_every_row_of_every_table_arrives_as_it_was(services, target):
    fill(services.engine)
    before = as_stored(services.engine)
    assert min(map(len, before.values())) == ROWS
    number, steps = sum(map(len, before.values())), list[int]()
    assert move.move(services.engine, target, steps.append, left) == number == sum(steps)
    assert as_stored(services.engine) == as_stored(target) == before
    kept = [value for row in before["newsletters"] for value in row]
    assert all(each in kept for each in JSON_VALUES)
    with Session(target) as session, session.begin():
        session.add(job := Job(kind="a new one"))
        session.flush()
        assert job.id == FIRST + ROWS + 1
    if target.dialect.name == "postgresql":
        assert is_analyzed(target, "subscriptions")


def test_a_database_that_is_in_use_is_left_alone(services, target):
    fill(services.engine)
    schema.upgrade(target)
    with Session(target) as session, session.begin():
        session.add(Job(kind="of somebody else"))
    before = dump(target)
    with pytest.raises(move.InvalidMove, match="The table jobs differs there"):
        move.move(services.engine, target, lambda _rows: None, left)
    assert dump(target) == before


def test_a_database_is_not_moved_to_itself(services):
    target = make_engine(services.settings.database_url)
    with pytest.raises(move.InvalidMove, match="Name another one"):
        move.move(services.engine, target, lambda _rows: None, left)
    target.dispose()


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("groups", update(Group).where(Group.id == FIRST + 1).values(position=1)),
        ("images", delete(Image).where(Image.id == FIRST + ROWS)),
    ],
    ids=["changed", "missing"],
)
def test_a_row_that_changes_on_the_way_or_is_missing_is_noticed(table, statement, services, target):
    """The other database may be another's to write to; what is there in the end is compared."""
    fill(services.engine)
    told: list[int] = []

    def spoil(rows: int) -> None:
        told.append(rows)
        if len(told) == len(Base.metadata.sorted_tables):
            with target.begin() as connection:
                connection.execute(statement)

    with pytest.raises(move.InvalidMove, match=f"The table {table} differs there"):
        move.move(services.engine, target, spoil, left)


def test_nobody_writes_to_the_source_meanwhile(services, target):
    refused: list[bool] = []
    url = services.settings.database_url
    hasty = make_engine(f"{url}?timeout=0.2" if url.startswith("sqlite") else f"{url}{BRIEFLY}")

    def write(_rows: int) -> None:
        if not refused:
            try:
                with Session(hasty) as session, session.begin():
                    session.add(Job(kind="too late"))
            except OperationalError:
                refused.append(True)

    move.move(services.engine, target, write, left)
    assert refused
    with Session(hasty) as session, session.begin():
        session.add(Job(kind="in time"))
    hasty.dispose()


def test_waiting_email_leaves_once_from_the_other_database_after_a_move(
    environment, services, relay, other, tmp_path
):
    """Waiting email leaves from there, once, and nothing more from where it was."""
    queue(services, MEMBERS)
    named = tmp_path / "url"
    named.write_text(f"{other}\n")
    with running(environment, "worker") as worker:
        relay.wait_for(5, SECONDS)
        assert "A worker is running" in refused(environment, "db", "move", str(named))
        worker.terminate()
        worker.communicate(timeout=SECONDS)
    moved = run(environment, "db", "move", str(named))
    again = run(environment, "db", "move", str(named))
    assert again.returncode == 1
    assert moved.returncode == 0, moved.stdout + moved.stderr
    assert re.search(r"Moved and compared: \d+ rows", moved.stdout)
    there = {**environment, "BELONG_DATABASE_URL": other}
    assert run(environment, "hold", "status").returncode == 1
    assert "`db move`" in refused(environment, "worker", "--drain")
    assert run(there, "hold", "release").returncode == 0
    assert run(there, "worker", "--drain").returncode == 0
    assert sorted(each.recipient for each in relay.accepted) == sorted(
        f"member{number}@dpsk12.org" for number in range(MEMBERS)
    )
