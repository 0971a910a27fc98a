"""A drill: a copy is restored in an empty place, opened with the keys, and removed again."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from belong_mail.core import encryption
from belong_mail.core.db import make_engine
from tests.db_dump import dump_of
from tests.delivery.factories import queue
from tests.markers import on_both
from tests.ops.copies import BIN, Settings, succeed
from tests.postgres import postgresql
from tests.processes import run

pytestmark = on_both("copies")

OTHER = encryption.new_keys()
STRANGE = {"BELONG_PRIVATE_KEYS": OTHER["private"], "BELONG_PUBLIC_KEYS": OTHER["public"]}
# Other complaints of the doctor in these tests.
QUIET = {"BELONG_SMTP_URL": "mailbox:", "PGOPTIONS": "-c synchronous_commit=on"}


@pytest.fixture
def given(environment: Settings) -> Settings:
    return {**environment, **QUIET, "PATH": f"{BIN}:{os.environ['PATH']}"}


@pytest.fixture
def into(database_url: str) -> Iterator[list[str]]:
    """The option that names an empty database, which PostgreSQL's drill takes."""
    if database_url.startswith("sqlite"):
        yield []
    else:
        with postgresql() as url:
            yield ["--database", url]


def test_a_drill_opens_a_copy_apart_and_leaves_nothing(
    given, into, relay, services, keyring, tmp_path
):
    """Email that waits in the copy is not sent, and the database in use is as it was."""
    queue(services, keyring, 40)
    drill = ("db", "drill", str(tmp_path / "copy"), *into)
    succeed(given, "db", "backup", str(tmp_path / "copy"))
    before = dump_of(services)
    said = succeed(given, *drill)
    assert "ok\tThe keys here open rows of every kind" in said
    assert "role" not in said, "the web does not use the database of a drill"
    wrong = run({**given, **STRANGE}, *drill)
    assert (wrong.returncode, "WRONG" in wrong.stdout) == (1, True)
    assert "Traceback" not in wrong.stderr
    assert dump_of(services) == before
    assert relay.accepted == []
    assert not list(Path(given["BELONG_STATE_FOLDER"]).glob("copy-*"))
    if into:
        engine = make_engine(into[1])
        assert inspect(engine).get_table_names() == []
        own = "SELECT count(*) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
        with engine.connect() as connection:
            assert connection.scalar(text(own)) == 0, "functions of triggers"
        engine.dispose()


def test_a_drill_refuses_what_is_no_copy_and_a_database_in_use(given, into, services, tmp_path):
    torn, before = tmp_path / "torn", dump_of(services)
    torn.write_bytes(b"SQLite format 3\0" + bytes(5000))
    ended = run(given, "db", "drill", str(torn), *into)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr, ended.stderr
    if into:
        used = run(given, "db", "drill", str(torn), into[0], given["BELONG_DATABASE_URL"])
        assert (used.returncode, "is not empty" in used.stderr) == (1, True)
    assert dump_of(services) == before
