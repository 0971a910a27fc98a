"""From each released step, made by its own code: what waits leaves once, and all is readable."""

import os
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import chain, starmap

import pytest
import time_machine
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, select, text

from belong_mail.accounts import proven
from belong_mail.accounts.models import Account
from belong_mail.core.db import make_engine, new_public_id
from belong_mail.core.decryption import worker_keys
from belong_mail.core.jobs import Job
from belong_mail.delivery.models import Delivery
from belong_mail.mail.address import untagged
from belong_mail.members.models import Subscription, WaitlistEntry
from belong_mail.members.wrapped_fields import address_of, rows_of
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops import backup, grants, schema
from belong_mail.worker.loop import Worker
from tests.browser_client import link_to
from tests.delivery.factories import books
from tests.markers import on_both
from tests.migrations import make
from tests.migrations.conftest import RELEASED, assert_as_the_models_say
from tests.ops.copies import BIN
from tests.postgres import drop_all

pytestmark = on_both("migrations")
KINDS = "PRIVATE", "INDEX"


def test_waiting_email_of_a_released_database_leaves_once_and_its_requests_are_read(
    upgraded, services, keyring, relay
):
    for _ in range(2):
        worker = Worker(services, keyring)
        worker.drain()
        assert worker.held_because is None
        worker.engine.close()
    everyone = (*make.MEMBERS, make.READ, make.UNREAD, make.LEAD, make.WAITING, make.OFFICE)
    assert Counter(one.recipient for one in relay.accepted) == dict.fromkeys(everyone, 1)
    for address in make.MEMBERS:
        [mail] = relay.to(address)
        assert mail["Subject"] == "Begun"
        assert "library" in str(mail.get_body(("plain",)))
    for address in (make.READ, make.UNREAD):
        [mail] = relay.to(address)
        page = upgraded.test_client().get(link_to(mail, "confirm"))
        assert page.status_code == 200
    with services.reading.begin() as session:
        begun, planned = session.scalars(select(Newsletter).order_by(Newsletter.id))
        assert planned.queued_at is None
        assert planned.due_at is not None
        assert session.scalars(select(Job)).all() == []
        assert {one.state for one in session.scalars(select(Delivery))} == {"accepted"}
    assert books(services, begun.id) == {"recipients": 3, "accepted": 3}


def test_a_released_database_becomes_what_the_models_say_and_what_is_wrapped_opens(
    services, keyring
):
    assert_as_the_models_say(services.engine)
    with services.reading.begin() as session:
        members = session.scalars(select(Subscription).order_by(Subscription.id))
        assert [address_of(keyring, one) for one in members] == [*make.MEMBERS, make.READ]
        [lead] = session.scalars(select(Account))
        assert proven.address_of(keyring, lead) == make.LEAD
        [entry] = session.scalars(select(WaitlistEntry))
        assert entry.group.slug == make.UPCOMING


@pytest.mark.parametrize("released", ["1.0"], indirect=True)
def test_what_1_0_kept_for_an_address_with_a_plus_tag_is_its_mailboxs(released_url, request):
    """Of several memberships in a group a member's stays, else the one without a tag."""
    keys = worker_keys(*((make.KEYS[f"BELONG_{kind}_KEYS"],) for kind in KINDS))
    engine, tables = make_engine(released_url), MetaData()
    tables.reflect(engine)
    held, notes = tables.tables["subscriptions"], tables.tables["waitlist_entries"]
    with engine.begin() as connection:
        for name in ("ada+x", "gil+a"):
            keep(connection, keys, held, make.VILLAGE, name, confirmed_at=None)
        for name in ("hal+x", "gil+b", "carmen+x"):
            last = keep(connection, keys, held, make.VILLAGE, name, confirmed_at=make.MADE_AT)
        for name in ("fay+x", "ivy+x"):
            keep(connection, keys, notes, make.UPCOMING, name)
        waiting = {"kind": "welcome-member", "state": "queued", "subscription_id": last}
        said = {"created_at": make.MADE_AT, "attempts": 0, "resent": 0, "is_dot_sent": False}
        connection.execute(tables.tables["deliveries"].insert().values(waiting | said))
    engine.dispose()
    services = request.getfixturevalue("services")
    worker = Worker(services, keys)
    with time_machine.travel(make.MADE_AT + timedelta(hours=1)):
        worker.step()
    worker.engine.close()

    def found(table, name: str) -> list[str]:
        rows = rows_of(session, keys, table, f"{name}@dpsk12.org")
        return [address_of(keys, each).partition("@")[0] for each in rows]

    with services.reading.begin() as session:
        names = [found(Subscription, name) for name in ("ada", "carmen", "gil", "hal")]
        assert names == [["ada"], ["carmen"], ["gil+b"], ["hal+x"]]
        assert found(WaitlistEntry, "fay") in (["fay"], ["fay+x"]), "either of one mailbox"
        assert found(WaitlistEntry, "ivy") == ["ivy+x"]
        [withdrawn] = session.scalars(select(Delivery).where(Delivery.state == "withdrawn"))
        assert withdrawn.kind == "welcome-member"


def keep(connection, keys, table, slug: str, name: str, **more: datetime | None) -> int:
    """Store a row as 1.0 did, which indexed an address with its plus tag; return its id."""
    group = connection.execute(text("SELECT * FROM groups WHERE slug = :s"), {"s": slug}).one()
    address, public_id = f"{name}@dpsk12.org", new_public_id()
    place = f"{table.name}.wrapped_address", f"{public_id}/{group.public_id}"
    row = {
        "group_id": group.id,
        "public_id": public_id,
        "address_index": keys.index.member(group.public_id, address),
        "counted_index": keys.index.member(group.public_id, untagged(address)),
        "wrapped_address": keys.opener.wrap(address.encode(), *place),
        "language": "en",
        "requested_at": make.MADE_AT,
        "kept_until": date(2027, 11, 30),
        "is_reminded": False,
        "is_suppressed": False,
    }
    values = {column: kept for column, kept in row.items() if column in table.c} | more
    made: int = connection.execute(table.insert().values(values)).inserted_primary_key[0]
    return made


@pytest.mark.parametrize("released", ["1.0"], indirect=True)
def test_a_copy_of_1_0_is_restored_and_upgraded(released_url, tmp_path, monkeypatch):
    """PostgreSQL's has the policies of the web's role, which name whole rows."""
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    engine, copy = make_engine(released_url), tmp_path / "copy"
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            for statement in chain.from_iterable(starmap(grants._policies, grants.WEB.items())):
                connection.exec_driver_sql(statement)
    backup.backup(engine, copy, lambda _: None, "", tmp_path)
    drop_all(engine)
    backup.restore(engine, copy, lambda _: None, lambda _: None)
    assert_as_the_models_say(engine)
    engine.dispose()


def test_each_step_has_a_database():
    """`python -m tests.migrations.make` makes that of the newest."""
    steps = ScriptDirectory(str(schema.FOLDER)).walk_revisions()
    assert set(RELEASED) == {step.revision for step in steps}
