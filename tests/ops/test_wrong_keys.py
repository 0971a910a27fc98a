"""A worker whose keys do not open the database waits, says so, and loses nothing."""

import os

import pytest
from sqlalchemy import select, update

from belong_mail.core import encryption
from belong_mail.core.db import now
from belong_mail.core.decryption import BlindIndex, Keyring, Opener
from belong_mail.core.encryption import Sealer, sealed_for
from belong_mail.core.jobs import Job
from belong_mail.delivery.models import Delivery
from belong_mail.groups.models import Group
from belong_mail.groups.service import UNDO_LAUNCH
from belong_mail.members.models import Subscription, WaitlistEntry
from belong_mail.newsletters.models import Newsletter
from tests.browser_client import text_of
from tests.conftest import KEYS
from tests.database import execute, query
from tests.db_dump import dump_of
from tests.delivery.factories import books, queue
from tests.factories import make_member, make_members, queue_issue
from tests.markers import OPERATOR, alerted, on_both, on_sqlite
from tests.ops.copies import BIN, Settings, refused, succeed
from tests.processes import run
from tests.scenario import ADA

OTHER = encryption.new_keys()


def pair(environment, kept: Settings) -> Settings:
    names = {"BELONG_PUBLIC_KEYS": kept["public"], "BELONG_PRIVATE_KEYS": kept["private"]}
    return {**environment, **names}


@alerted
def test_a_wrong_private_key_holds_everything_and_the_operator_hears(
    environment, services, relay, visitor
):
    issue = queue(services, 200)
    visitor.join("lgbtq", ADA)
    wrong = pair(environment, OTHER)
    for _ in range(2):
        told = refused(wrong, "worker", "--drain")
        assert "this worker's keys do not open what is in the database" in told
    assert books(services, issue) == {"recipients": 200, "queued": 200}
    for asked in (["status"], ["hold", "status"]):
        said = run(wrong, *asked)
        assert said.returncode == 1
        assert " do not open " in said.stdout
    [alert] = relay.accepted
    assert alert.recipient == OPERATOR
    [mail] = relay.to(OPERATOR)
    assert mail["Subject"].startswith("The worker's keys don't open the database.")
    assert "doctor" in text_of(mail)

    assert run(environment, "worker", "--drain").returncode == 0
    assert books(services, issue) == {"recipients": 200, "accepted": 200}
    assert [mail["Subject"] for mail in relay.to(ADA)] == ["Confirm your request to DPS Belong"]


def test_doctor_names_each_kind_that_does_not_open(environment, services, visitor):
    queue(services, 3)
    visitor.send("/contact", message="Where is the library?", topic="need")
    quiet = {**environment, "BELONG_SMTP_URL": "mailbox:", "PGOPTIONS": "-c synchronous_commit=on"}
    well = run(quiet, "doctor")
    assert "The keys here open rows of every kind in the database" in well.stdout
    wrong = pair(quiet, OTHER)
    said = run(wrong, "doctor")
    assert said.returncode == 1
    assert "do not open 3 of 3 subscriptions.wrapped_address" in said.stdout
    assert "contact_messages.sealed" in said.stdout


def test_wrong_keys_are_told_from_the_only_member(environment, services):
    queue(services, 1)
    said = refused(pair(environment, OTHER), "keys", "rotate")
    assert "do not open 1 of 1 subscriptions.wrapped_address" in said


@on_sqlite
def test_nothing_that_keys_must_open_is_begun_with_others(environment, services, tmp_path):
    queue(services, 3)
    [issue] = query(services, select(Newsletter.public_id))
    before, there, people = dump_of(services), tmp_path / "there.db", tmp_path / "people.csv"
    people.write_text(f"Email\n{ADA}\n")
    for arguments in (
        "keys rotate", "db upgrade", f"db move sqlite:///{there}",
        f"explain {ADA}", f"lead invite {ADA} --group lgbtq", f"office invite {ADA}",
        f"import {people} --group lgbtq", "demo --group lgbtq --members 1",
        f"newsletter send lgbtq {people} --subject Tea", f"newsletter cancel {issue}",
        f"newsletter pause {issue}", f"newsletter release {issue}",
        f"newsletter resume {issue}", f"newsletter stop {issue}",
    ):  # fmt: skip
        said = refused(pair(environment, OTHER), *arguments.split())
        assert "do not open 3 of 3 subscriptions.wrapped_address" in said
        assert said.endswith("Put the right keys in place. Nothing was changed.\n")
        assert dump_of(services) == before
    assert not there.exists()


@on_both("a copy of PostgreSQL is read before it is put in place")
def test_a_copy_that_the_keys_do_not_open_replaces_nothing(environment, services, tmp_path):
    """The database is as good as the copy until then. A name that looks like bytes is none."""
    queue(services, 3)
    execute(services, update(Group).values(name=r"\xylophone"))
    given = {**environment, "PATH": f"{BIN}:{os.environ['PATH']}"}
    restore = ("db", "restore", str(tmp_path / "copy"))
    succeed(given, "db", "backup", restore[-1])
    before = dump_of(services)
    for other in (pair(given, OTHER), {**given, "BELONG_INDEX_KEYS": OTHER["index"]}):
        assert refused(other, *restore).endswith("Nothing was changed.\n")
        assert dump_of(services) == before
    succeed(given, *restore)


def test_a_key_that_was_taken_away_too_soon_is_missed(services, keyring, worker_with, relay):
    """Half of the members are wrapped under a key that is here, half under one that is not."""
    newer = Keyring(Opener((KEYS["private"], OTHER["private"])), keyring.index)
    with services.writing.begin() as session:
        make_members(session, keyring, 30)
        for number in range(30):
            make_member(session, newer, f"later{number}@dpsk12.org")
        issue = queue_issue(session).id
    alone = worker_with(Keyring(Opener((OTHER["private"],)), keyring.index))
    alone.drain()
    assert alone.held_because == "keys"
    assert relay.accepted == []
    worker_with(newer).drain()
    assert books(services, issue) == {"recipients": 60, "accepted": 60}


def test_a_key_that_another_host_has_already_is_missed_while_the_worker_works(
    services, keyring, worker_with
):
    older = worker_with(keyring)
    queue(services, 3)
    older.drain()
    newer = Keyring(Opener((KEYS["private"], OTHER["private"])), keyring.index)
    with services.writing.begin() as session:
        for number in range(60):
            make_member(session, newer, f"later{number}@dpsk12.org")
        issue = queue_issue(session).id
    for _ in range(2):
        older.drain()
    assert older.held_because == "keys"
    assert "failed" not in books(services, issue)
    execute(services, update(Delivery).where(Delivery.due_at > now()).values(due_at=now()))
    worker_with(newer).drain()
    assert books(services, issue) == {"recipients": 63, "accepted": 63}


@on_both("transactions")
@pytest.mark.parametrize("poison", [b"\x02none" + b"x" * 300, b"\x01", b"\x02"])
def test_one_row_that_cannot_be_opened_fails_alone(poison, services, keyring, worker_with):
    """Also one that names a key that was never here."""
    issue = queue(services, 5)
    with services.writing.begin() as session:
        spoilt = update(Subscription).where(Subscription.id == 3).values(wrapped_address=poison)
        session.execute(spoilt)
    worker = worker_with(keyring)
    worker.drain()
    execute(services, update(Delivery).where(Delivery.due_at > now()).values(due_at=now()))
    worker.drain()
    assert worker.held_because is None
    assert books(services, issue) == {"recipients": 5, "accepted": 4, "failed": 1}


def test_a_wrong_index_key_takes_nobody_for_somebody_else(services, keyring, worker_with, visitor):
    issue = queue(services, 3)
    visitor.join("the-village", "member1@dpsk12.org")
    worker = worker_with(Keyring(keyring.opener, BlindIndex((OTHER["index"],))))
    worker.drain()
    assert worker.held_because == "keys"
    assert books(services, issue) == {"recipients": 3, "queued": 3}


def test_a_request_sealed_for_a_key_that_comes_later_is_read_then(
    environment, services, relay, visitor
):
    """The web had the new public key before the worker had the private one."""
    queue(services, 3)
    visitor.join("lgbtq", ADA)
    resealed = Opener((KEYS["private"],))
    with services.writing.begin() as session:
        [request] = session.scalars(select(Job))
        opened = resealed.open(request.sealed or b"", sealed_for(request.kind))
        request.sealed = Sealer((OTHER["public"],)).seal(opened, sealed_for(request.kind))
    assert run(environment, "worker", "--drain").returncode == 0
    assert relay.to(ADA) == []
    both = {
        "BELONG_PRIVATE_KEYS": f"{KEYS['private']},{OTHER['private']}",
        "BELONG_PUBLIC_KEYS": f"{KEYS['public']},{OTHER['public']}",
    }
    assert run({**environment, **both}, "worker", "--drain").returncode == 0
    assert [mail["Subject"] for mail in relay.to(ADA)] == ["Confirm your request to DPS Belong"]


def test_a_note_outlives_a_missing_key(services, keyring, worker_with, visitor):
    visitor.send("/groups/autoimmune/tell-me", email=ADA)
    worker = worker_with(keyring)
    worker.drain()
    with services.writing.begin() as session:
        [note] = session.scalars(select(WaitlistEntry))
        note.wrapped_address = b"\x02none" + note.wrapped_address[5:]
        session.execute(update(Group).values(established_at=now() - UNDO_LAUNCH))
    worker.step()
    assert len(query(services, select(WaitlistEntry))) == 1
