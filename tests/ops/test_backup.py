"""Copies of the database: made while mail leaves, put back on hold, tried out, kept and deleted."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from belong_mail.core import encryption
from belong_mail.core.db import make_engine
from belong_mail.core.encrypted_file import new_key_pair
from belong_mail.core.environment import NEWEST_REVISION
from belong_mail.ops import backup as database_backup
from belong_mail.ops import backup_retention, grants
from tests.conftest import KEYS
from tests.db_dump import dump_of
from tests.delivery.factories import books, queue
from tests.factories import make_member
from tests.markers import on_both, on_sqlite
from tests.ops.copies import BIN, Settings, members, refused, succeed
from tests.postgres import is_analyzed, postgresql
from tests.processes import ROOT, SECONDS, run, running
from tests.web_role import role_of

pytestmark = on_both("copies")

ADA = "ada.canary@dpsk12.org"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OTHER = encryption.new_keys()
STRANGE = {"BELONG_PRIVATE_KEYS": OTHER["private"], "BELONG_PUBLIC_KEYS": OTHER["public"]}
# Else the doctor complains of the server of these tests.
SOUND = {"PGOPTIONS": "-c synchronous_commit=on"}


@pytest.fixture
def given(environment: Settings, services) -> Settings:
    return {**environment, **SOUND, "PATH": f"{BIN}:{os.environ['PATH']}"}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_restore_gives_the_web_its_rights_and_postgresql_its_plans(given, services, tmp_path):
    copy, role = tmp_path / "copy", role_of(given["BELONG_DATABASE_URL"])
    succeed(given, "db", "backup", str(copy))
    succeed({**given, "BELONG_WEB_DATABASE_ROLE": role}, "db", "restore", str(copy))
    with services.engine.connect() as connection:
        assert grants.grant_faults(connection, role) == []
    assert is_analyzed(services.engine, "groups")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_restored_copy_is_on_hold_before_postgresql_looks_at_it(
    given, services, tmp_path, monkeypatch
):
    """If that fails, no one gets an email twice."""
    copy, seen = tmp_path / "copy", []
    succeed(given, "db", "backup", str(copy))
    monkeypatch.setenv("PATH", given["PATH"])

    def mark(engine):
        seen.append(is_analyzed(engine, "groups"))

    database_backup.restore(services.engine, copy, mark, lambda _engine: None)
    assert seen == [False]
    assert is_analyzed(services.engine, "groups")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "change", ["UPDATE alembic_version SET version_num = '9.9'", "DELETE FROM alembic_version"]
)
def test_a_copy_is_not_put_over_tables_of_another_step_or_of_none(
    change, given, services, tmp_path
):
    """It would leave what it does not know, and might replace what is not ours."""
    copy = tmp_path / "copy"
    succeed(given, "db", "backup", str(copy))
    try:
        with services.engine.begin() as connection:
            connection.execute(text(change))
        assert "are of different versions" in refused(given, "db", "restore", str(copy))
    finally:
        with services.engine.begin() as connection:
            connection.execute(text("DELETE FROM alembic_version"))
            newest = text("INSERT INTO alembic_version VALUES (:step)")
            connection.execute(newest, {"step": NEWEST_REVISION})


def test_a_copy_made_while_mail_leaves_is_whole_without_an_address_or_key_and_put_back_on_hold(
    given, relay, services, keyring, tmp_path
):
    """Earlier members are there; email that waited then leaves after the release, and once."""
    issue = queue(services, 40)
    relay.delay = 0.02
    copy = tmp_path / "copy"
    with running(given, "worker") as process:
        relay.wait_for(5, SECONDS)
        succeed(given, "db", "backup", str(copy))
        relay.wait_for(40, SECONDS)
        assert "A worker is running on the database" in refused(given, "db", "restore", str(copy))
        process.terminate()
        process.communicate(timeout=SECONDS)
    assert copy.stat().st_mode & 0o777 == 0o600
    for word in ("member1@dpsk12.org", "member1", KEYS["private"], KEYS["index"], KEYS["secret"]):
        assert word.encode() not in copy.read_bytes()
    assert not list(tmp_path.glob("copy.*"))
    relay.delay = 0
    with services.writing.begin() as session:
        make_member(session, keyring, ADA)
    assert members(services) == 41
    said = succeed(given, "db", "restore", str(copy))
    assert "on hold" in said
    assert members(services) == 40
    before = len(relay.accepted)
    assert "the database was restored from a copy" in run(given, "hold", "status").stdout
    assert run(given, "worker", "--drain").returncode == 1
    assert len(relay.accepted) == before == 40
    then = books(services, issue)
    succeed(given, "hold", "release")
    run(given, "worker", "--drain")
    assert len(relay.accepted) - before == then.get("queued", 0) + then.get("deferred", 0)


def test_a_backup_does_not_overwrite_an_existing_file(given, tmp_path):
    file = tmp_path / "copy"
    file.write_text("precious")
    assert "already exists" in refused(given, "db", "backup", str(file))
    assert file.read_text() == "precious"
    for place in (tmp_path / "no" / "copy", tmp_path / ("no" * 200)):
        assert "cannot be written" in refused(given, "db", "backup", str(place))


@on_sqlite
def test_a_file_that_comes_while_a_copy_is_made_is_not_overwritten(services, tmp_path):
    late = tmp_path / "late"
    with pytest.raises(database_backup.InvalidBackup):
        database_backup.backup(services.engine, late, lambda _copy: late.touch(), "", tmp_path)
    assert late.read_bytes() == b""


def test_a_file_that_is_no_backup_is_not_restored(given, services, keyring, tmp_path):
    with services.writing.begin() as session:
        make_member(session, keyring, ADA)
    file = tmp_path / "copy"
    file.write_bytes(b"no copy at all " * 1000)
    said = refused(given, "db", "restore", str(file))
    assert "not a database" in said or "cannot read this copy" in said
    assert members(services) == 1
    assert run(given, "db", "restore", str(tmp_path / "nowhere")).returncode == 2


@on_sqlite
def test_a_damaged_database_is_not_copied_and_makes_way_for_a_copy_only_by_hand(
    given, services, tmp_path
):
    copy, file = tmp_path / "copy", tmp_path / "belong.db"
    succeed(given, "db", "backup", str(copy))
    services.engine.dispose()
    for end in ("-wal", "-shm"):
        (tmp_path / f"belong.db{end}").unlink(missing_ok=True)
    whole = copy.read_bytes()
    with closing(sqlite3.connect(copy)) as kept:
        [[page]] = kept.execute("SELECT rootpage FROM sqlite_master WHERE name = 'images'")
    place = (page - 1) * 4096
    spoilt = whole[:place] + b"\xff" * 4096 + whole[place + 4096 :]
    for content in (spoilt, b"no database at all " * 1000):
        file.write_bytes(content)
        assert "damaged" in refused(given, "db", "backup", str(tmp_path / "other"))
    assert "move it away" in refused(given, "db", "restore", str(copy))
    file.rename(tmp_path / "damaged.db")
    succeed(given, "db", "restore", str(copy))
    assert "restored from a copy" in run(given, "hold", "status").stdout


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_without_the_programs_of_postgresql_or_if_they_fail_a_sentence_says_so(
    environment, tmp_path
):
    bare, program = {**environment, "PATH": str(tmp_path)}, tmp_path / "pg_dump"
    assert "pg_dump is not installed" in refused(bare, "db", "backup", str(tmp_path / "copy"))
    program.write_text('#!/bin/sh\necho half\necho "$@" >&2\nexit 1\n')
    program.chmod(0o755)
    for key in ("", new_key_pair()[1]):
        given = {**bare, "BELONG_BACKUP_RECIPIENT": key}
        said = refused(given, "db", "backup", str(tmp_path / "copy"))
        assert "pg_dump failed" in said
        assert "--compress=1" in said, "at its usual level a copy takes thrice the CPU"
    assert not (tmp_path / "copy").exists()


@pytest.fixture
def into(database_url: str) -> Iterator[list[str]]:
    """The option that names an empty database, which PostgreSQL's drill takes."""
    if database_url.startswith("sqlite"):
        yield []
    else:
        with postgresql() as url:
            yield ["--database", url]


def test_a_drill_opens_a_copy_apart_and_leaves_nothing(given, into, relay, services, tmp_path):
    """Email that waits in the copy is not sent, and the database in use is as it was."""
    queue(services, 40)
    drill = ("db", "drill", str(tmp_path / "copy"), *into)
    succeed(given, "db", "backup", str(tmp_path / "copy"))
    before = dump_of(services)
    said = succeed(given, *drill)
    assert "ok\tThe keys here open rows of every kind" in said
    assert "role" not in said, "the web does not use the database of a drill"
    assert "do not open" in refused({**given, **STRANGE}, *drill)
    assert dump_of(services) == before
    assert relay.accepted == []
    assert not list(Path(given["BELONG_STATE_FOLDER"]).glob(f"{database_backup.SCRATCH_PREFIX}*"))
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
    assert "Traceback" not in ended.stderr
    if into:
        used = run(given, "db", "drill", str(torn), into[0], given["BELONG_DATABASE_URL"])
        assert (used.returncode, "is not empty" in used.stderr) == (1, True)
        torn.write_bytes(b"PGDMP" + bytes(5000))
        assert "Name an empty database: --database." in refused(given, "db", "drill", str(torn))
    assert dump_of(services) == before


def test_a_folder_keeps_the_last_copies_of_days_and_weeks():
    moments = {NOON - timedelta(hours=12 * n) for n in range(120)}
    [nightly] = re.findall("--keep (.+)", (ROOT / "deploy/belong-backup.service").read_text())
    kept = backup_retention.kept(moments, *map(int, nightly.split(",")))
    assert {NOON - timedelta(days=n) for n in range(7)} <= kept
    assert len(kept) == 10
    assert min(kept) > NOON - timedelta(days=30)
    assert backup_retention.kept(moments, 1, 0) == {NOON}
    both_years = {NOON, NOON - timedelta(weeks=52)}
    assert backup_retention.kept(both_years, 0, 4) == both_years, "The week's number is the same."
    old = {NOON - timedelta(days=400 + n) for n in range(3)}
    assert backup_retention.kept(old, 3, 0) == old, "When backups stop, the last ones stay."
