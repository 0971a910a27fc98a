"""The schema is what the models say, on both databases; steps are taken whole, or not at all."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from click.testing import Result
from flask.testing import FlaskCliRunner
from sqlalchemy import Engine, inspect, text
from sqlalchemy.orm import Session

from belong_mail.app import create_app
from belong_mail.core import encryption
from belong_mail.core.db import make_engine
from belong_mail.core.decryption import worker_keys
from belong_mail.core.environment import NEWEST_REVISION
from belong_mail.core.services import Services
from belong_mail.ops import schema
from config import Config
from tests.conftest import KEYS
from tests.db_dump import dump
from tests.factories import make_members
from tests.markers import night, on_both
from tests.migrations.conftest import assert_as_the_models_say
from tests.postgres import drop_all
from tests.processes import ROOT, run, surroundings

pytestmark = on_both("migrations")
# In a copy of the project, where nothing is compiled.
mostly_on_sqlite = pytest.mark.parametrize(
    "empty",
    ["sqlite", pytest.param("postgresql", marks=night("repeats on PostgreSQL"))],
    indirect=True,
)
OTHER = encryption.new_keys()
MIGRATIONS = Path(schema.__file__).parents[1] / "migrations"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request, tmp_path) -> Iterator[Engine]:
    """A database without a table."""
    if request.param == "sqlite":
        (tmp_path / "new.db").touch()
        url = f"sqlite:///{tmp_path}/new.db"
    else:
        url = request.getfixturevalue("blank_postgresql")
    engine = make_engine(url)
    yield engine
    drop_all(engine)
    engine.dispose()


def settings_for(engine: Engine) -> dict[str, str]:
    url = engine.url.render_as_string(hide_password=False)
    settings = {f"BELONG_{kind.upper()}_KEYS": key for kind, key in KEYS.items()}
    return {**settings, "BELONG_DATABASE_URL": url}


def command(engine: Engine, *arguments: str) -> Result:
    """Run a command of ours on a database."""
    app = create_app(Config.read(settings_for(engine)))
    runner: FlaskCliRunner = app.test_cli_runner()
    result = runner.invoke(args=list(arguments))
    parts: Services = app.extensions["belong"]
    parts.writing.kw["bind"].dispose()
    return result


def test_a_new_database_is_what_the_models_say_and_is_seeded_when_it_is_asked_and_once(empty):
    """A new database is nobody's: another district's office adds its own groups."""
    up_to_date = "The database is up to date.\n"
    there = f"The database has groups already, so none were added.\n{up_to_date}"
    dps = ("--seed", "dps")
    for asked, said, number in (((), up_to_date, 0), (dps, up_to_date, 10), (dps, there, 10)):
        result = command(empty, "db", "upgrade", *asked)
        assert (result.exit_code, result.output) == (0, said)
        with empty.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM groups")) == number
    assert command(empty, "db", "upgrade", "--seed", "lakeside").exit_code == 2
    assert_as_the_models_say(empty)


def test_check_says_whether_the_database_is_up_to_date_and_without_that_no_worker_runs(empty):
    result = command(empty, "db", "check")
    assert result.exit_code == 1
    assert "Run `db upgrade`" in result.output
    ended = run(settings_for(empty), "worker", "--drain")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("Error: The database cannot be used")
    assert "Traceback" not in ended.stderr
    schema.upgrade(empty)
    result = command(empty, "db", "check")
    assert (result.exit_code, result.output) == (0, "The database is as it should be.\n")
    with empty.begin() as connection:
        connection.execute(text("ALTER TABLE newsletters ADD COLUMN stray VARCHAR"))
    assert command(empty, "db", "check").exit_code == 1


def test_a_step_that_is_not_known_is_said_in_a_sentence(empty):
    schema.upgrade(empty)
    _set_step(empty, "99.0")
    result = command(empty, "db", "upgrade")
    assert result.exit_code == 1
    assert "at a step that this version does not know" in result.output
    ended = run(settings_for(empty), "worker", "--drain")
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)


def test_no_step_is_undone_and_where_the_copy_is_is_said(empty):
    schema.upgrade(empty)
    refused = command(empty, "db", "downgrade")
    assert refused.exit_code == 1
    assert "restore the copy that `upgrade` made, in /var/lib/belong-worker/" in refused.output
    assert command(empty, "db", "check").exit_code == 0


def test_a_database_that_is_not_what_its_step_says_stays_as_it_is(empty):
    with empty.begin() as connection:
        connection.execute(text("CREATE TABLE passkeys (id INTEGER)"))
    ended = run(settings_for(empty), "db", "upgrade")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("Error: The database is not what its step says")
    assert inspect(empty).get_table_names() == ["passkeys"]


# A step of a later version, which makes the table of groups anew on SQLite.
LATER = '''"""Give groups a motto."""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "99.0", "1.1"


def upgrade() -> None:
    with op.batch_alter_table("groups") as groups:
        groups.add_column(sa.Column("motto", sa.String()))
        groups.alter_column("name", new_column_name="title")
    op.execute("UPDATE groups SET motto = 'Together'")
    op.execute("UPDATE FAILS groups SET motto = 'Together'")

'''
FAILING = "    op.execute(\"UPDATE FAILS groups SET motto = 'Together'\")\n"


def later_version(folder: Path, step: str) -> Path:
    """Make a checkout that has one step more and is this one otherwise."""
    package = folder / "belong_mail"
    versions = package / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "99_0_groups_have_a_motto.py").write_text(step)
    ours = ROOT / "belong_mail"
    for here, there in ((folder, ROOT), (package, ours), (versions.parent, MIGRATIONS),
                        (versions, MIGRATIONS / "versions")):  # fmt: skip
        for each in there.iterdir():
            if not (here / each.name).exists() and each.name not in {"var", "__pycache__"}:
                (here / each.name).symlink_to(each)
    return folder


def in_version(
    folder: Path, engine: Engine, *arguments: str, keys: dict[str, str] = KEYS
) -> subprocess.CompletedProcess[str]:
    """Run a command of another checkout."""
    given = {f"BELONG_{kind.upper()}_KEYS": key for kind, key in (KEYS | keys).items()}
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", *arguments],
        cwd=folder,
        env={**surroundings(settings_for(engine) | given), "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def _groups(engine: Engine, name: str) -> list[object]:
    with engine.connect() as connection:
        groups = connection.scalars(text(f"SELECT {name} FROM groups ORDER BY id")).all()  # noqa: S608
        return [*groups, connection.scalar(text("SELECT count(*) FROM questions"))]


@mostly_on_sqlite
def test_a_later_step_keeps_every_row_also_when_it_fails_half_way(empty, tmp_path):
    """Rows that refer to a table that SQLite makes anew stay, too."""
    assert command(empty, "db", "upgrade", "--seed", "dps").exit_code == 0
    before = _groups(empty, "name")
    assert before[-1]
    failed = in_version(later_version(tmp_path / "failing", LATER), empty, "db", "upgrade")
    assert failed.returncode == 1
    assert _groups(empty, "name") == before
    assert command(empty, "db", "check").exit_code == 0
    empty.dispose()
    later = later_version(tmp_path / "later", LATER.replace(FAILING, ""))
    upgraded = in_version(later, empty, "db", "upgrade")
    assert (upgraded.returncode, upgraded.stderr) == (0, "")
    assert _groups(empty, "title") == before
    empty.dispose()


@pytest.mark.parametrize("empty", ["sqlite"], indirect=True)
def test_a_later_step_waits_for_keys_that_open_what_is_there(empty, tmp_path):
    keyring = worker_keys((KEYS["private"],), (KEYS["index"],))
    assert command(empty, "db", "upgrade", "--seed", "dps").exit_code == 0
    with Session(empty) as session, session.begin():
        make_members(session, keyring, 3)
    before = dump(empty)
    later = later_version(tmp_path / "later", LATER.replace(FAILING, ""))
    for other in (("public", "private"), ("index",)):
        refused = in_version(
            later, empty, "db", "upgrade", keys={each: OTHER[each] for each in other}
        )
        assert refused.returncode == 1
        assert refused.stderr.endswith("Put the right keys in place. Nothing was changed.\n")
        assert dump(empty) == before
        empty.dispose()
    assert in_version(later, empty, "db", "upgrade").returncode == 0


def test_three_who_upgrade_at_once_end_well(empty):
    settings = settings_for(empty)
    with ThreadPoolExecutor() as pool:
        ends = list(pool.map(lambda _: run(settings, "db", "upgrade", "--seed", "dps"), range(3)))
    assert [(end.returncode, end.stdout.splitlines()[-1:]) for end in ends] == [
        (0, ["The database is up to date."])
    ] * 3, [end.stderr for end in ends]
    with empty.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM groups")) == 10


@pytest.mark.parametrize("empty", ["postgresql"], indirect=True)
def test_an_upgrade_waits_while_another_runs(empty):
    waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with ThreadPoolExecutor() as pool:
        with empty.begin() as connection:
            schema.lock(connection)
            second = pool.submit(run, settings_for(empty), "db", "upgrade")
            while not connection.scalar(waits):
                assert not second.done(), "it waited for nobody"
                time.sleep(0.05)
            assert not inspect(connection).has_table("groups")
        assert second.result().returncode == 0


def _set_step(engine: Engine, step: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :step"), {"step": step})


def test_steps_are_named_by_their_versions_and_import_nothing_of_ours():
    steps = list(ScriptDirectory(str(MIGRATIONS)).walk_revisions())
    assert steps[0].revision == NEWEST_REVISION
    assert steps[-1].revision == "1.0"
    for step in steps:
        file = Path(step.path)
        assert file.stem.startswith(f"{step.revision.replace('.', '_')}_")
        assert step.doc.strip()
        assert "belong_mail" not in file.read_text()
