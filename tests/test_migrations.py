"""The schema goes up, down to nothing and up again, on both databases, and is what models say."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.script import Script, ScriptDirectory
from click.testing import Result
from flask.testing import FlaskCliRunner
from sqlalchemy import Engine, inspect, text

from belong_mail import schema
from belong_mail.app import create_app
from belong_mail.db import make_engine
from belong_mail.parts import Parts
from config import Config
from tests.conftest import KEYS
from tests.postgres import postgresql
from tests.processes import run

MIGRATIONS = Path(schema.__file__).parent / "migrations"


@pytest.fixture(scope="module")
def empty_postgresql() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database without a table."""
    if request.param == "sqlite":
        (tmp_path / "new.db").touch()
        url = f"sqlite:///{tmp_path}/new.db"
    else:
        url = request.getfixturevalue("empty_postgresql")
    engine = make_engine(url)
    yield engine
    schema.downgrade(engine, "base")
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
    parts: Parts = app.extensions["belong"]
    parts.writing.kw["bind"].dispose()
    return result


def test_the_schema_goes_up_down_and_up_again(empty: Engine) -> None:
    for _ in range(2):
        schema.upgrade(empty)
        assert schema.differences(empty) == []
        schema.downgrade(empty, "base")
        assert set(inspect(empty).get_table_names()) <= {"alembic_version"}


def test_each_step_down_can_be_taken_up_again(empty: Engine) -> None:
    """Step by step to nothing, each step undone once on the way."""
    schema.upgrade(empty)
    steps = [step.revision for step in _steps()]
    for revision in steps:
        schema.downgrade(empty, f"{revision}-1" if revision != steps[-1] else "base")
        schema.upgrade(empty, revision)
        assert not schema.differences(empty) or revision != steps[0]
        schema.downgrade(empty, f"{revision}-1" if revision != steps[-1] else "base")


def test_upgrade_twice_changes_nothing_and_seeds_once(empty: Engine) -> None:
    for _ in range(2):
        result = command(empty, "db", "upgrade")
        assert (result.exit_code, result.output) == (0, "The database is up to date.\n")
        with empty.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM groups")) == 10


def test_check_says_whether_the_database_is_up_to_date(empty: Engine) -> None:
    result = command(empty, "db", "check")
    assert result.exit_code == 1
    assert "run `db upgrade`" in result.output
    schema.upgrade(empty)
    result = command(empty, "db", "check")
    assert (result.exit_code, result.output) == (0, "The database is as it should be.\n")
    with empty.begin() as connection:
        connection.execute(text("ALTER TABLE newsletters ADD COLUMN stray VARCHAR"))
    assert command(empty, "db", "check").exit_code == 1


def test_the_worker_refuses_a_database_that_is_not_up_to_date(empty: Engine) -> None:
    ended = run(settings_for(empty), "worker", "--drain")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("Error: The database cannot be used")
    assert "Traceback" not in ended.stderr


def test_migrations_are_numbered_sentences_in_one_line_that_import_nothing_of_ours() -> None:
    steps = _steps()
    assert [step.revision for step in reversed(steps)] == [
        f"{number:04}" for number in range(1, len(steps) + 1)
    ]
    for step in steps:
        file = Path(step.path)
        assert file.stem.startswith(f"{step.revision}_")
        assert step.doc.strip()
        assert "belong_mail" not in file.read_text()


def _steps() -> list[Script]:
    return list(ScriptDirectory(str(MIGRATIONS)).walk_revisions())
