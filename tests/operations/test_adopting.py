"""The step from a version that proved nothing to the worker: taken once, and nothing is lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskCliRunner
from sqlalchemy import select, text, update

from belong_mail.accounts import invitations
from belong_mail.accounts.models import Account, GroupLead
from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.members import service as members
from belong_mail.ops import backup, schema
from belong_mail.ops.data_migration import OF_REQUESTS
from belong_mail.worker.loop import Worker
from tests.browser_client import Visitor
from tests.factories import group_named, make_member, queue_issue
from tests.markers import on_sqlite
from tests.older import write_as_before
from tests.processes import run
from tests.scenario import ADA, VILLAGE, Scenario
from tests.servers.smtp import Server
from tests.web_role import give_rights

BEFORE = "0013"
BEN, CARA, DORA = (f"{name}@dpsk12.org" for name in ("ben", "cara", "dora"))
LEAD = "lead@dpsk12.org"
MALLORY = "mallory@dpsk12.org"
TAKEN_OVER = "Rights to lead a group taken over from the older version: 1."


@pytest.fixture
def scenario(
    visitor: Visitor, worker: Worker, relay: Server, services: Services, keyring: Keyring
) -> Iterator[Scenario]:
    """An older database: Ada and Ben are members, an issue is half sent, Cara and Dora wait."""
    scenario = Scenario(visitor, worker, relay, services, keyring)
    scenario.invite_lead(LEAD)
    with services.writing.begin() as session:
        for address in (ADA, BEN):
            make_member(session, keyring, address)
        queue_issue(session)
    relay.script(f"RCPT {BEN}", "450 4.2.1 Later")
    worker.drain()
    visitor.send("/my-groups", email=CARA)
    worker._read_requests()
    visitor.join(VILLAGE, DORA, first_name="Dora", introduce_me="y")
    grow_old(scenario)
    yield scenario
    schema.upgrade(scenario.engine)
    give_rights(scenario.engine)


def grow_old(scenario: Scenario) -> None:
    write_as_before(scenario.services, scenario.keyring)
    schema.downgrade(scenario.engine, BEFORE)


def let_lead(scenario: Scenario, address: str) -> None:
    """Write a row, as whoever breaks into the web can."""
    with scenario.services.writing.begin() as session:
        public_id = f"account-of-{address}"
        wrapped = scenario.keyring.opener.wrap(
            address.encode(), "accounts.wrapped_address", public_id
        )
        index = scenario.keyring.index.account(address)
        account = Account(public_id=public_id, address_index=index, wrapped_address=wrapped)
        session.add(account)
        session.flush()
        group = group_named(session, VILLAGE)
        session.add(GroupLead(account_id=account.id, group_id=group.id, accepted_at=now()))


def test_what_waited_in_an_older_database_arrives_and_who_led_still_leads(
    scenario: Scenario, cli: FlaskCliRunner
) -> None:
    upgraded = cli.invoke(args=["db", "upgrade"])
    assert (upgraded.exit_code, upgraded.output.splitlines()[0]) == (0, TAKEN_OVER)
    with scenario.services.writing.begin() as session:
        session.execute(text("UPDATE deliveries SET due_at = created_at WHERE state = 'deferred'"))
    assert len(scenario.mails(BEN)) == 1
    assert len(scenario.mails(CARA)) == 1
    [asked] = scenario.mails(DORA)
    with scenario.services.writing.begin() as session:
        wish = session.execute(text("SELECT confirm_id FROM wishes")).scalar_one()
        members.confirm(session, scenario.services.sealer, wish)
    [introduced] = scenario.mails(LEAD)
    assert introduced["Reply-To"] == DORA
    assert len(scenario.mails(DORA)) == 2
    assert asked["To"] == DORA
    with scenario.services.writing.begin() as session:
        queue_issue(session)
    for address in (ADA, BEN, DORA):
        assert scenario.mails(address)[-1]["Subject"] == "This month with us"


def test_rights_are_taken_over_once_and_never_again(
    scenario: Scenario, cli: FlaskCliRunner
) -> None:
    """Who writes a row after the step is believed neither by it nor by the next upgrade."""
    assert TAKEN_OVER in cli.invoke(args=["db", "upgrade"]).output
    let_lead(scenario, MALLORY)
    again = cli.invoke(args=["db", "upgrade"])
    assert again.output == "The database is up to date.\n"
    scenario.worker.drain()
    with scenario.services.writing.begin() as session:
        members.confirm(
            session,
            scenario.services.sealer,
            session.execute(text("SELECT confirm_id FROM wishes")).scalar_one(),
        )
    assert len(scenario.mails(LEAD)) == 1
    assert scenario.relay.to(MALLORY) == []


def test_rights_of_the_office_are_taken_over_once(scenario: Scenario, cli: FlaskCliRunner) -> None:
    with scenario.engine.begin() as connection:
        connection.execute(text("UPDATE accounts SET is_office = :yes"), {"yes": True})
    taken = "Rights to work for the office taken over from the older version: 1."
    assert taken in cli.invoke(args=["db", "upgrade"]).output
    let_lead(scenario, MALLORY)
    with scenario.services.writing.begin() as session:
        session.execute(update(Account).values(is_office=True))
    assert "taken over" not in cli.invoke(args=["db", "upgrade"]).output
    with scenario.services.reading.begin() as session:
        proven = [
            invitations.is_proven_office(scenario.keyring.opener, each)
            for each in session.scalars(select(Account).order_by(Account.id))
        ]
    assert proven == [True, False]


def test_whoever_sets_the_step_back_has_no_forged_right_taken_over(
    scenario: Scenario, cli: FlaskCliRunner
) -> None:
    """SQLite's file is writable for the web as a whole: columns, tables and step included."""
    assert TAKEN_OVER in cli.invoke(args=["db", "upgrade"]).output
    let_lead(scenario, MALLORY)
    schema.downgrade(scenario.engine, BEFORE)
    again = cli.invoke(args=["db", "upgrade"])
    assert again.exit_code == 1
    assert "look for a break-in" in again.output
    with scenario.engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == BEFORE


def test_without_the_workers_keys_the_step_is_not_taken_at_all(
    scenario: Scenario, environment: dict[str, str]
) -> None:
    keyless = {**environment, "BELONG_PRIVATE_KEYS": "", "BELONG_INDEX_KEYS": ""}
    refused = run(keyless, "db", "upgrade")
    assert refused.returncode == 1
    assert "BELONG_PRIVATE_KEYS" in refused.stderr
    assert "Traceback" not in refused.stderr
    with scenario.engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == BEFORE
    assert run(environment, "db", "upgrade").returncode == 0


@on_sqlite
def test_an_older_copy_that_is_put_back_is_taken_over_too(
    scenario: Scenario, cli: FlaskCliRunner, tmp_path: Path
) -> None:
    file = str(tmp_path / "copy")
    backup.backup(scenario.engine, Path(file), lambda _copied: None, None)
    schema.upgrade(scenario.engine)
    scenario.worker.engine.close()
    assert TAKEN_OVER in cli.invoke(args=["db", "restore", file]).output


def test_what_makes_no_sense_in_an_older_database_does_not_stop_the_step(
    scenario: Scenario, cli: FlaskCliRunner
) -> None:
    """Whoever has the public key may have sealed it; and an account may be somebody's invention."""
    seal = scenario.services.sealer.seal
    with scenario.engine.begin() as connection:
        account = "INSERT INTO accounts (public_id, address_index, wrapped_address, created_at,"
        account += " language, is_office) SELECT 'forged', :index, :wrapped, created_at, 'en', :no"
        wrapped = seal(MALLORY.encode(), "accounts.wrapped_address")
        forged = {"index": b"forged", "wrapped": wrapped, "no": False}
        connection.execute(text(f"{account} FROM accounts"), forged)
        leads = (
            "INSERT INTO leaderships (account_id, group_id, since) SELECT accounts.id, group_id,"
        )
        leads += " since FROM leaderships JOIN accounts ON accounts.public_id = 'forged'"
        connection.execute(text(leads))
        asked = "INSERT INTO requests (kind, sealed, due_at, failures)"
        asked += " SELECT 'join', :sealed, due_at, 0 FROM requests"
        for typed in (b"no JSON", b"[]", b'{"address": "x"}'):
            connection.execute(text(asked), {"sealed": seal(typed, OF_REQUESTS)})
    assert TAKEN_OVER in cli.invoke(args=["db", "upgrade"]).output
    assert len(scenario.mails(DORA)) == 1


def test_an_address_that_its_index_contradicts_is_not_taken_over(
    scenario: Scenario, cli: FlaskCliRunner
) -> None:
    with scenario.services.writing.begin() as session:
        session.execute(
            text("UPDATE subscriptions SET address_index = :forged WHERE id = 1"),
            {"forged": b"forged"},
        )
    assert cli.invoke(args=["db", "upgrade"]).exit_code == 0
    with scenario.services.writing.begin() as session:
        queue_issue(session)
    before = len(scenario.relay.to(ADA))
    assert len(scenario.mails(ADA)) == before
    assert scenario.mails(BEN)[-1]["Subject"] == "This month with us"
