"""Steps of the schema are undone where that can be done; what waits stays, and leaves once."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from click.testing import Result
from flask import Flask
from sqlalchemy import text
from sqlalchemy.orm import Session

from belong_mail.core.decryption import Keyring, worker_keys
from belong_mail.core.services import Services
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.worker_lock import WorkerLock
from belong_mail.ops import schema
from belong_mail.worker.loop import make_worker
from tests.markers import on_both
from tests.servers.smtp import Server
from tests.upgrades import make
from tests.upgrades.conftest import MADE_AT, SCHEMAS, same_host

pytestmark = on_both("migrations")

NEWEST = pytest.mark.parametrize(
    "old", SCHEMAS[-1:], ids=lambda file: file.name[:12], indirect=True
)
# Below it a step is never undone.
FLOOR = "0029"
WAITING = (
    "SELECT id, kind, state, due_at, newsletter_id, subscription_id FROM deliveries ORDER BY id"
)
SENT = (
    "UPDATE deliveries SET due_at = NULL, state = 'accepted'"
    " WHERE id = (SELECT max(id) FROM deliveries)"
)


def back(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["db", "downgrade", "--yes", *arguments])


def step_of(services: Services) -> str:
    with services.engine.connect() as connection:
        return str(connection.scalar(text("SELECT version_num FROM alembic_version")))


@pytest.fixture
def read(upgraded: Flask, settings: dict[str, str], relay: Server) -> Flask:
    """Let a worker read what was asked for, while the relay takes nothing."""
    same_host(upgraded.extensions["belong"], Path(settings["BELONG_STATE_FOLDER"]))
    relay.always("CONNECT", "421 4.3.2 Try again later")
    drain(upgraded)
    relay.usual()
    return upgraded


def waiting(services: Services) -> list[Any]:
    with services.engine.connect() as connection:
        return [*connection.execute(text(WAITING))]


def drain(app: Flask) -> None:
    services: Services = app.extensions["belong"]
    keyring = Keyring(*worker_keys(services.settings.private_keys, services.settings.index_keys))
    worker = make_worker(services, keyring)
    worker.drain()
    worker.engine.close()


@NEWEST
def test_what_waits_survives_all_steps_back_and_leaves_once(read: Flask, relay: Server) -> None:
    services: Services = read.extensions["belong"]
    before = waiting(services)
    assert {row.kind for row in before} >= {"newsletter", "confirm-subscription", "invitation"}
    said = back(read, FLOOR)
    assert said.exit_code == 0, said.output
    assert said.output.startswith("This is lost:\n")
    assert "0037: Passkeys. Everyone signs in by emailed links again." in said.output
    assert f"The database is at step {FLOOR}." in said.output
    assert step_of(services) == FLOOR
    assert waiting(services) == before
    cli = read.test_cli_runner()
    assert cli.invoke(args=["db", "check"]).exit_code == 1
    services.engine.dispose()
    assert cli.invoke(args=["db", "upgrade"]).exit_code == 0
    with time_machine.travel(MADE_AT + timedelta(minutes=20)):
        for _ in range(2):
            drain(read)
    expected = (*make.MEMBERS, make.READ, make.UNREAD, make.LEAD)
    assert Counter(one.recipient for one in relay.accepted) == dict.fromkeys(expected, 1)


@NEWEST
@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_where_no_one_can_be_asked_nothing_is_lost_without_yes(
    read: Flask, quiet: list[str]
) -> None:
    services: Services = read.extensions["belong"]
    here = step_of(services)
    said = read.test_cli_runner().invoke(args=["db", "downgrade", FLOOR, *quiet])
    assert said.exit_code == 1
    assert said.stderr.startswith("This is lost:\n")
    assert said.stderr.endswith("Error: Nothing was changed. To lose this, add --yes.\n")
    assert step_of(services) == here


@NEWEST
def test_without_a_step_the_newest_is_undone_alone(read: Flask) -> None:
    services: Services = read.extensions["belong"]
    newest, before, *_ = [step.revision for step in schema.steps()]
    assert step_of(services) == newest
    assert back(read).exit_code == 0
    assert step_of(services) == before


@NEWEST
def test_a_step_that_would_harm_someone_is_refused_with_its_reason(upgraded: Flask) -> None:
    services: Services = upgraded.extensions["belong"]
    here = step_of(services)
    said = back(upgraded, "0028")
    assert said.exit_code == 1
    assert said.output == (
        "Error: Step 0029 cannot be undone. People who were suspended could sign in again, and"
        " rights would have no end. Nothing was changed.\n"
    )
    assert step_of(services) == here


@NEWEST
@pytest.mark.parametrize("step", ["0099", "base", "HERE"])
def test_a_step_that_is_not_an_earlier_one_is_wrong_use(upgraded: Flask, step: str) -> None:
    services: Services = upgraded.extensions["belong"]
    here = step_of(services)
    said = back(upgraded, here if step == "HERE" else step)
    assert said.exit_code == 2
    assert f"The database is at step {here}. Name an earlier one" in said.output


@NEWEST
def test_email_of_a_kind_that_the_version_before_does_not_know_leaves_first(
    read: Flask,
) -> None:
    services: Services = read.extensions["belong"]
    with Session(services.engine) as session, session.begin():
        code = Delivery(kind="staff-code", sealed_to=b"x", due_at=datetime.now(UTC))
        session.add(code)
    here = step_of(services)
    said = back(read, "0041")
    assert said.exit_code == 1
    assert "Email of kinds that the version before does not know: 1." in said.output
    assert "worker --drain" in said.output
    assert step_of(services) == here
    with Session(services.engine) as session, session.begin():
        session.execute(text(SENT))
    assert back(read, "0041").exit_code == 0


@NEWEST
def test_requests_are_read_first_for_their_form_may_be_new(upgraded: Flask) -> None:
    services: Services = upgraded.extensions["belong"]
    here = step_of(services)
    said = back(upgraded)
    assert said.exit_code == 1
    assert "Requests that no worker has read: 1." in said.output
    assert step_of(services) == here


@NEWEST
def test_whom_the_office_keeps_out_is_not_let_in_by_a_step_back(read: Flask) -> None:
    services: Services = read.extensions["belong"]
    with services.engine.begin() as connection:
        bar = "INSERT INTO barred_addresses (group_id, address_index) VALUES (1, :index)"
        connection.execute(text(bar), {"index": b"x"})
    said = back(read, FLOOR)
    assert said.exit_code == 1
    assert "Addresses that the office keeps out of a group: 1." in said.output
    assert back(read, "0030").exit_code == 0
    with services.engine.begin() as connection:
        connection.execute(text("DELETE FROM barred_addresses"))


@NEWEST
def test_a_scheduled_newsletter_does_not_lose_its_flyer(read: Flask) -> None:
    services: Services = read.extensions["belong"]
    with services.engine.begin() as connection:
        planned = connection.scalar(text("SELECT id FROM newsletters WHERE queued_at IS NULL"))
        flyer = (
            "INSERT INTO flyers (public_id, newsletter_id, title, content, size, pages, is_tagged)"
            " VALUES ('f', :id, 'F', :content, 1, 1, :no)"
        )
        connection.execute(text(flyer), {"id": planned, "content": b"x", "no": False})
    said = back(read, "0034")
    assert said.exit_code == 1
    assert "Scheduled newsletters with flyers: 1." in said.output


@NEWEST
def test_no_step_is_undone_under_a_worker(upgraded: Flask, settings: dict[str, str]) -> None:
    services: Services = upgraded.extensions["belong"]
    here, lock = step_of(services), WorkerLock(Path(settings["BELONG_STATE_FOLDER"]) / "workers")
    try:
        said = back(upgraded, "0041")
    finally:
        lock.end()
    assert (said.exit_code, "A worker is running" in said.output) == (1, True)
    assert step_of(services) == here


def test_each_step_says_what_undoing_it_loses_or_why_it_stays() -> None:
    for step in schema.steps():
        said = [name for name in ("loses", "one_way") if hasattr(step.module, name)]
        assert len(said) == 1, step.revision
        words = getattr(step.module, said[0])
        assert not words or words.endswith("."), step.revision
