"""A new key takes over: what the old one wrapped is wrapped anew, wherever it was cut off."""

import re

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from belong_mail.accounts import invitations, proven
from belong_mail.core import encryption
from belong_mail.core.db import Base, now
from belong_mail.core.decryption import Keyring, Opener
from belong_mail.delivery.models import Delivery
from belong_mail.groups import mailbox
from belong_mail.members import service as members
from belong_mail.members.models import Subscription, WaitlistEntry
from belong_mail.members.wrapped_fields import address_of
from belong_mail.ops import key_rotation
from belong_mail.ops.rooms import WRAPPED_COLUMNS
from tests.conftest import KEYS
from tests.database import execute
from tests.delivery.factories import queue
from tests.factories import group_named, make_members
from tests.markers import on_both
from tests.monitoring.looking import doctor
from tests.processes import run
from tests.scenario import ADA

NEW = encryption.new_keys()
SHARED = "leads@dpsk12.org"
NEEDED = "An older private key is still needed, by "


@pytest.fixture
def both() -> Opener:
    return Opener((KEYS["private"], NEW["private"]))


def still_needed(settings) -> list[str]:
    return [words.removeprefix(NEEDED) for words in doctor(settings)[1] if NEEDED in words]


def left(services, opener: Opener) -> int:
    with services.reading.begin() as session:
        return sum(key_rotation.rows_left(session, opener).values())


@on_both("locks")
def test_the_worker_wraps_anew_and_then_the_old_key_may_go(
    both, worker_with, services, keyring, relay
):
    """Also of an issue that is half sent: its ready bytes are wrapped, and stay for its report."""
    queue(services, 5)
    relay.script("RCPT member3@dpsk12.org", "450 4.2.1 Later")
    worker_with(keyring).drain()
    assert len(relay.accepted) == 4
    assert left(services, both) == 5 + 2
    worker_with(Keyring(both, keyring.index)).drain()
    assert left(services, both) == 0
    execute(services, update(Delivery).where(Delivery.due_at.is_not(None)).values(due_at=now()))
    worker_with(Keyring(Opener((NEW["private"],)), keyring.index)).drain()
    assert sorted(one.recipient for one in relay.accepted) == [
        f"member{number}@dpsk12.org" for number in range(5)
    ]


@on_both("transactions")
def test_it_goes_on_where_it_was_cut_off(both, worker_with, services, keyring):
    with services.writing.begin() as session:
        make_members(session, keyring, 7)
        assert key_rotation.rewrap(session, keyring.opener) == 0, "with one key nothing is"
        assert key_rotation.rows_left(session, keyring.opener) == {}
    with services.writing.begin() as session:
        assert key_rotation.rewrap(session, both, 3) == 3
    with services.writing() as session:
        assert key_rotation.rewrap(session, both, 3) == 3
        session.rollback()
    assert left(services, both) == 7 - 3
    worker_with(Keyring(both, keyring.index)).drain()
    assert left(services, both) == 0
    with services.writing.begin() as session:
        assert key_rotation.rewrap(session, both) == 0


def test_rewrapping_includes_a_member_who_left_and_skips_a_value_that_does_not_open(
    both, services, keyring
):
    with services.writing.begin() as session:
        make_members(session, keyring, 3)
        first, second, _third = session.scalars(select(Subscription).order_by(Subscription.id))
        members.leave(session, first.public_id)
        last = second.wrapped_address[-1]
        second.wrapped_address = second.wrapped_address[:-1] + bytes([last ^ 1])
    with services.writing.begin() as session:
        assert key_rotation.rewrap(session, both) == 3 - 1
    assert left(services, both) == 1


class Meanwhile(Opener):
    """Wraps while something else is stored."""

    session: Session

    def wrap(self, data: bytes, place: str, row: str) -> bytes:
        self.session.execute(update(Subscription).values(wrapped_address=b"new"))
        return super().wrap(data, place, row)


def test_a_value_that_changes_during_rewrapping_keeps_its_change(services, keyring):
    opener = Meanwhile((KEYS["private"], NEW["private"]))
    with services.writing.begin() as session:
        make_members(session, keyring, 1)
        opener.session = session
        key_rotation.rewrap(session, opener)
        assert session.scalars(select(Subscription.wrapped_address)).one() == b"new"


def test_leads_mailboxes_and_those_who_wait_stay_when_the_old_key_is_gone(
    scenario, both, worker_with, services, keyring
):
    scenario.wait_for()
    with services.writing.begin() as session:
        village = group_named(session, "the-village")
        lead = invitations.invite(session, keyring, village, SHARED)
        mailbox.wrap_mailbox(keyring.opener, village, SHARED)
    worker_with(Keyring(both, keyring.index)).drain()
    assert left(services, both) == 0
    new = Keyring(Opener((NEW["private"],)), keyring.index)
    with services.reading.begin() as session:
        village = group_named(session, "the-village")
        assert proven.is_proven(session, new.opener, lead, village)
        assert not proven.is_proven(session, keyring.opener, lead, village)
        assert mailbox.mailbox_of(new.opener, village) == SHARED
        [note] = session.scalars(select(WaitlistEntry))
        assert address_of(new, note) == ADA


# Deleted at most thirty days after they were sent or answered.
SHORT_LIVED = {
    "jobs.sealed", "deliveries.sealed_to", "deliveries.sealed_arguments", "import_batches.sealed",
    "contact_messages.sealed", "thread_entries.sealed", "address_changes.wrapped",
    "mailbox_changes.wrapped",
}  # fmt: skip


def test_all_that_is_sealed_or_wrapped_is_wrapped_anew_or_deleted_soon():
    columns = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.sorted_tables
        for column in table.columns
    }
    secret = {each for each in columns if re.search(r"\.(wrapped|sealed)", each)}
    lasting = {f"{column.class_.__tablename__}.{column.key}" for column, *_rest in WRAPPED_COLUMNS}
    assert secret <= lasting | SHORT_LIVED <= columns


def test_the_commands_print_lists_that_fit_together_and_say_what_is_left(
    environment, services, keyring, visitor, cli
):
    """A message to the office stays under the key of its day, for a month."""
    with services.writing.begin() as session:
        make_members(session, keyring, 2)
    printed = cli.invoke(args=["keys", "rotate"])
    assert printed.exit_code == 0
    given = {**environment, **dict(line.split("=", 1) for line in printed.stdout.splitlines())}
    assert given["BELONG_PRIVATE_KEYS"].startswith(f"{KEYS['private']},")
    assert len(still_needed(given)) == 1
    assert run(given, "worker", "--drain").returncode == 0
    assert still_needed(given) == []
    assert any("Nothing here needs an older private key" in words for words in doctor(given)[1])
    typed = {"message": "Where is the library?", "topic": "need", "email": ADA}
    assert visitor.send("/contact", **typed).status_code == 303
    assert run(given, "worker", "--drain").returncode == 0
    [said] = still_needed(given)
    assert said.startswith("1 contact_messages.sealed: deleted")
