"""Upgrades with mail in the queue: what an older database holds leaves once, and is told."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from belong_mail.accounts import invitations
from belong_mail.accounts import service as accounts
from belong_mail.ops import schema
from tests.browser_client import Visitor
from tests.factories import group_named
from tests.faults import product
from tests.faults.scene import Scene
from tests.older import write_as_before
from tests.servers.actions import drop
from tests.web_role import drop_policies, give_rights

PATIENCE = pytest.mark.parametrize("patience", ["connections=1&timeout=20&dot_timeout=20"])
MEMBERS = 12
LEAD = "lead@dpsk12.org"
HEAD, *OLDER = [
    step.revision
    for step in ScriptDirectory(
        str(Path(schema.__file__).parents[1] / "migrations")
    ).walk_revisions()
]
# From here on leases have a table of their own; before, a row knew whether its dot had left.
LEASED = "0003"
# From here on a database knows the folders of those who work on it.
KNOWN = "0008"
TAKE = (
    "UPDATE deliveries SET state = 'sending', claimed_by = 'gone' WHERE id IN"
    " (SELECT id FROM deliveries WHERE state = 'queued' ORDER BY id DESC LIMIT 2)"
)
# How a killed worker of an older version, and of one with leases, leaves what it had in hand.
LEAVE = {
    False: (
        "UPDATE deliveries SET lease_until = '2026-01-01 00:00:00+00', is_dot_sent ="
        " (id IN (SELECT max(id) FROM deliveries)) WHERE claimed_by = 'gone'"
    ),
    True: "INSERT INTO leases (owner, until) VALUES ('gone', '2026-01-01 00:00:00+00')",
}


@pytest.fixture
def database(scene: Scene) -> Iterator[Engine]:
    """The scene's database, which is up to date again in the end."""
    engine = scene.services.writing.kw["bind"]
    yield engine
    schema.upgrade(engine)
    give_rights(engine)


def grow_old(engine: Engine, scene: Scene, revision: str) -> None:
    """Make it the database of an older version, whose worker died with two mails in hand."""
    if revision < schema.PROVEN:
        write_as_before(scene.services, scene.keyring)
    drop_policies(engine)
    schema.downgrade(engine, revision)
    folder = Path(scene.settings["BELONG_STATE_FOLDER"])
    shutil.rmtree(folder / "workers" if revision >= KNOWN else folder)
    with engine.begin() as connection:
        connection.exec_driver_sql(TAKE)
        connection.exec_driver_sql(LEAVE[revision >= LEASED])


def leads(scene: Scene) -> int:
    with scene.services.reading.begin() as session:
        return len(accounts.leads_of(session, group_named(session, "the-village")))


@PATIENCE
@pytest.mark.parametrize("settings", [{"BELONG_UNCERTAIN": "15m"}], ids=["doubt waits"])
@pytest.mark.parametrize("revision", OLDER)
def test_what_waits_in_an_older_database_leaves_once(
    revision: str, scene: Scene, database: Engine, visitor: Visitor
) -> None:
    """One is deferred, one uncertain, some queued, two in hand; another issue has not begun."""
    begun = scene.queue(MEMBERS)
    scene.relay.always("RCPT member0@dpsk12.org", "451 4.7.1 Greylisted, try again later")
    scene.relay.script("DOT member1@dpsk12.org", drop())
    scene.relay.script("MAIL", *[None] * 6)
    scene.relay.always("MAIL", "450 4.2.1 Peak SMTP relay limit exceeded")
    scene.drain()
    books = scene.filled(begun)
    assert (books["deferred"], books["uncertain"]) == (1, 1)
    assert books["queued"] > MEMBERS // 3
    waiting = scene.queue_again(MEMBERS)
    with scene.services.writing.begin() as session:
        village = group_named(session, "the-village")
        invitations.invite(session, scene.keyring.opener, scene.keyring.index, village, LEAD)
    visitor.join("the-village", "ada@dpsk12.org")
    grow_old(database, scene, revision)
    scene.relay.usual()

    assert product.run(scene.settings, "db", "upgrade").code == 0
    scene.finish()
    scene.pass_time()
    database.dispose()  # What its connections know of the schema is of before.
    scene.drain()
    scene.pass_time()
    resent = 3 if revision >= LEASED else 2
    assert scene.filled(begun) == {"recipients": MEMBERS, "accepted": MEMBERS, "resent": resent}
    assert scene.filled(waiting) == {"recipients": MEMBERS, "accepted": MEMBERS}
    copies = Counter(copy.message_id for copy in scene.copies())
    assert sorted(copies.values()) == [*[1] * (2 * MEMBERS), 2]
    assert scene.relay.to("ada@dpsk12.org")
    assert leads(scene) == 1
