"""A restore rehearsed: a copy in an empty place, with another's keys, then with the right ones."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, inspect, make_url, select, text

from belong_mail.core import encryption
from belong_mail.core.db import make_engine
from belong_mail.core.decryption import Keyring
from belong_mail.core.jobs import Job
from belong_mail.core.services import Services
from belong_mail.delivery.models import Delivery
from belong_mail.members.models import Subscription
from tests.browser_client import Visitor
from tests.db_dump import dump_of
from tests.delivery.factories import queue
from tests.markers import on_both, one_by_day
from tests.operations.copies import BIN, Settings, succeed
from tests.processes import run
from tests.scenario import ADA
from tests.servers.smtp import Server

pytestmark = on_both("copies")

OTHER = encryption.new_keys()
STRANGE = {
    "private": {"BELONG_PRIVATE_KEYS": OTHER["private"], "BELONG_PUBLIC_KEYS": OTHER["public"]},
    "index": {"BELONG_INDEX_KEYS": OTHER["index"]},
}
# Other complaints of the doctor in these tests.
QUIET = {"BELONG_SMTP_URL": "mailbox:", "PGOPTIONS": "-c synchronous_commit=on"}
MEMBERS = 40


@pytest.fixture
def place(environment: Settings, tmp_path: Path) -> Iterator[Settings]:
    """The settings of an empty place: another database, another folder, the same relay."""
    url = make_url(environment["BELONG_DATABASE_URL"])
    folder = tmp_path / "place"
    folder.mkdir()
    given = {
        **environment,
        "BELONG_STATE_FOLDER": str(folder / "state"),
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }
    if url.get_backend_name() == "sqlite":
        yield {**given, "BELONG_DATABASE_URL": f"sqlite:///{folder}/belong.db"}
        return
    name = f"{url.database}_place"
    there = url.set(database=name).render_as_string(hide_password=False)
    server = make_engine(url.render_as_string(hide_password=False))
    alone = server.execution_options(isolation_level="AUTOCOMMIT")
    with alone.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield {**given, "BELONG_DATABASE_URL": there}
    with alone.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


def standing(settings: Settings) -> dict[str, object]:
    """Count what is there: deliveries by state, members, requests that can be read."""
    engine = make_engine(settings["BELONG_DATABASE_URL"])
    by_state = select(Delivery.state, func.count()).where(Delivery.kind != "alert-keys")
    members = select(func.count(Subscription.id)).where(Subscription.ended_at.is_(None))
    unread = select(func.count(Job.id)).where(Job.failures == 0)
    planned = text("SELECT coalesce(sum(planned), 0) FROM chunks WHERE inserted IS NULL")
    with engine.connect() as connection:
        rows = connection.execute(by_state.group_by(Delivery.state)).all()
        found: dict[str, object] = dict(rows)
        found["planned"] = connection.scalar(planned)
        found["members"] = connection.scalar(members)
        found["unread"] = connection.scalar(unread)
    engine.dispose()
    return found


@one_by_day("each kind of wrong key", of="database_url")
@pytest.mark.parametrize("wrong", STRANGE)
def test_a_copy_put_back_with_other_keys_waits_unharmed_for_the_right_ones(
    wrong: str, environment: Settings, place: Settings, relay: Server, services: Services,
    keyring: Keyring, visitor: Visitor, tmp_path: Path,
) -> None:  # fmt: skip
    queue(services, keyring, MEMBERS)
    visitor.join("lgbtq", ADA)
    copy = tmp_path / "copy"
    succeed({**environment, "PATH": place["PATH"]}, "db", "backup", str(copy))
    strange = {**place, **STRANGE[wrong]}
    succeed(strange, "db", "restore", str(copy))
    before = standing(place)
    assert (before["members"], before["planned"], before["unread"]) == (MEMBERS, MEMBERS, 1)
    succeed(strange, "hold", "release")

    for _ in range(2):
        ended = run(strange, "worker", "--drain")
        assert ended.returncode == 1
        assert "this worker's keys do not open what is in the database" in ended.stderr
    assert relay.accepted == []
    assert standing(place) == before
    said = run({**strange, **QUIET}, "doctor")
    assert said.returncode == 1
    assert "Put the right keys in place. Nothing is lost." in said.stdout
    named = "BELONG_INDEX_KEYS" if wrong == "index" else "subscriptions.wrapped_address"
    assert named in said.stdout

    succeed(place, "worker", "--drain")
    left = [one.recipient for one in relay.accepted]
    members = [f"member{number}@dpsk12.org" for number in range(MEMBERS)]
    assert sorted(left) == sorted([ADA, *members])
    assert [mail["Subject"] for mail in relay.to(ADA)] == ["Confirm your request to DPS Belong"]


def drill_of(place: Settings, copy: Path) -> list[str]:
    """Return the arguments of a drill; PostgreSQL's takes an empty database."""
    url = place["BELONG_DATABASE_URL"]
    into = [] if url.startswith("sqlite") else ["--database", url]
    return ["db", "drill", str(copy), *into]


def test_a_drill_opens_a_copy_apart_and_leaves_nothing(
    environment: Settings, place: Settings, relay: Server, services: Services, keyring: Keyring,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Email that waits in the copy is not sent, and the database in use is as it was."""
    queue(services, keyring, MEMBERS)
    copy = tmp_path / "copy"
    given = {**environment, **QUIET, "PATH": place["PATH"]}
    succeed(given, "db", "backup", str(copy))
    before = dump_of(services)
    said = succeed(given, *drill_of(place, copy))
    assert "ok\tThe keys here open rows of every kind" in said
    assert "role" not in said, "the web does not use the database of a drill"
    assert dump_of(services) == before
    assert relay.accepted == []
    if not drill_of(place, copy)[3:]:
        assert not list(Path(given["BELONG_STATE_FOLDER"]).glob("copy-*"))
    else:
        engine = make_engine(place["BELONG_DATABASE_URL"])
        assert inspect(engine).get_table_names() == []
        own = "SELECT count(*) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
        with engine.connect() as connection:
            assert connection.scalar(text(own)) == 0, "functions of triggers"
        engine.dispose()


def test_a_drill_says_that_the_keys_do_not_open_a_copy(
    environment: Settings, place: Settings, services: Services, keyring: Keyring, tmp_path: Path
) -> None:
    queue(services, keyring, MEMBERS)
    copy = tmp_path / "copy"
    given = {**environment, **QUIET, "PATH": place["PATH"]}
    succeed(given, "db", "backup", str(copy))
    wrong = run({**given, **STRANGE["private"]}, *drill_of(place, copy))
    assert (wrong.returncode, "WRONG" in wrong.stdout) == (1, True)
    assert "Traceback" not in wrong.stderr


def test_a_drill_refuses_what_is_no_copy_and_a_database_in_use(
    environment: Settings, place: Settings, services: Services, tmp_path: Path
) -> None:
    given = {**environment, **QUIET, "PATH": place["PATH"]}
    torn, before = tmp_path / "torn", dump_of(services)
    torn.write_bytes(b"SQLite format 3\0" + bytes(5000))
    ended = run(given, *drill_of(place, torn))
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr, ended.stderr
    if drill_of(place, torn)[3:]:
        used = run(
            given, "db", "drill", str(torn), "--database", environment["BELONG_DATABASE_URL"]
        )
        assert (used.returncode, "is not empty" in used.stderr) == (1, True)
    assert dump_of(services) == before
