"""A database that lacks what its workers have done: that does not leave again unasked."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.markers import on_sqlite
from tests.ops.copies import Settings, doubled, is_held, lagging
from tests.processes import SECONDS, run

pytestmark = [on_sqlite, pytest.mark.usefixtures("long_issue")]

LACKS = "the database lacked what that had done"


def copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target, 60)) as other:
        one.backup(other)


def test_the_next_worker_knows_by_its_epoch_what_one_that_was_stopped_had_done(
    environment, relay, tmp_path
):
    database, kept = tmp_path / "belong.db", tmp_path / "kept.db"
    with lagging(environment, relay, lambda: copy(database, kept)) as process:
        process.terminate()
        process.communicate(timeout=SECONDS)
    copy(kept, database)
    assert run(environment, "worker", "--drain").returncode == 1
    is_held(environment, "older than what this host last saw")
    assert doubled(relay) == 0


def test_a_database_that_lacks_one_hosts_work_holds_the_other_hosts_too(
    environment, relay, tmp_path
):
    other: Settings = {**environment, "BELONG_STATE_FOLDER": str(tmp_path / "other-host")}
    assert run(other, "hold", "release").returncode == 0
    database, kept = tmp_path / "belong.db", tmp_path / "kept.db"
    with lagging(environment, relay, lambda: copy(database, kept)) as process:
        process.kill()
    copy(kept, database)
    for each in (environment, other):
        assert run(each, "worker", "--drain").returncode == 1
        is_held(each, LACKS)
    assert doubled(relay) == 0
