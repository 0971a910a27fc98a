"""Rights to read and write the file of a SQLite database, whichever command made it."""

import stat
import subprocess
from pathlib import Path

import pytest

from belong_mail.core.db import make_engine
from tests.markers import on_sqlite
from tests.processes import ROOT, SECONDS, flask, run, surroundings

pytestmark = on_sqlite

ENDS = ("", "-wal", "-shm")


def modes(file: Path) -> dict[str, int]:
    """Write to a database, and list the rights to all its files while they are in use."""
    engine = make_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE groups SET summary = summary")
    named = {end: file.with_name(file.name + end) for end in ENDS}
    found = {end: stat.S_IMODE(each.stat().st_mode) for end, each in named.items()}
    engine.dispose()
    return found


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_new_database_is_its_groups_to_write_and_nobody_elses_to_read(
    umask, environment, tmp_path
):
    file = tmp_path / "new.db"
    settings = {**environment, "BELONG_DATABASE_URL": f"sqlite:///{file}"}
    ended = subprocess.run(
        flask("db", "upgrade"),
        cwd=ROOT, env=surroundings(settings), umask=umask,
        check=False, capture_output=True, timeout=SECONDS,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert modes(file) == dict.fromkeys(ENDS, 0o660)


@pytest.mark.parametrize(("before", "after"), [(0o644, 0o660), (0o640, 0o660), (0o600, 0o600)])
def test_an_older_file_is_narrowed_and_one_that_only_its_user_reads_stays_so(
    before, after, environment, app, tmp_path
):
    """As `db upgrade` and `db restore` left it until now; whoever chose 0600 has one user."""
    app.extensions["belong"].engine.dispose()
    (tmp_path / "belong.db").chmod(before)
    assert run(environment, "db", "upgrade").returncode == 0
    assert modes(tmp_path / "belong.db") == dict.fromkeys(ENDS, after)
