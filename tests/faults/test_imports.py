"""A list that moves in while workers die: each of its people is asked once, and nobody is left."""

from collections import Counter

import pytest
from sqlalchemy import func, select

from belong_mail.mail.address import Staff
from belong_mail.members import import_tasks, imports
from belong_mail.members.address_list import read_addresses
from belong_mail.members.import_tasks import INVITED
from belong_mail.members.models import Subscription
from belong_mail.worker.loop import Worker
from tests.database import query
from tests.db_dump import dump_of, kept_of
from tests.factories import group_named
from tests.faults.failing import failures
from tests.markers import on_both
from tests.servers.conversation import SLOW

PEOPLE = [f"person{each}@dpsk12.org" for each in range(38)]
STAFF = Staff(("dpsk12.org",))


def bring(scene) -> None:
    with scene.services.writing.begin() as session:
        group = group_named(session, "the-village")
        found = read_addresses("\n".join(PEOPLE).encode(), STAFF)
        made = imports.store(session, scene.services.sealer, group, found, "en")
        imports.start(session, made)


@pytest.mark.parametrize("patience", ["connections=1&timeout=20&dot_timeout=20"])
@pytest.mark.parametrize("extensions", [SLOW])
def test_workers_killed_between_batches_ask_each_person_once(scene):
    """A relay without pipelining: what it has answered was read before the next RCPT."""
    bring(scene)
    for nth in (1, 9, 14):
        assert scene.kill_worker("RCPT", nth) == -9
    assert scene.finish() == "Nothing is waiting."
    assert Counter(each.recipient for each in scene.copies()) == dict.fromkeys(PEOPLE, 1)
    rows = dump_of(scene.services)
    assert rows["import_batches"] == []
    assert len([row for row in rows["deliveries"] if row[1] == INVITED]) == len(PEOPLE)


@on_both("savepoints")
def test_a_batch_that_fails_at_any_statement_is_done_whole_or_not_at_all(scene):
    bring(scene)
    batch = query(scene.services, select(func.min(imports.ImportBatch.id)))[0]
    before = kept_of(scene.services)
    worker = Worker(scene.services, scene.keyring)
    worker.engine.close()

    def ask() -> None:
        with scene.services.writing.begin() as session:
            import_tasks.ask_batch(worker.work_in(session), batch)

    def is_unchanged() -> None:
        assert kept_of(scene.services) == before

    assert failures(scene.services.engine, ask, is_unchanged, step=7) > 3
    with scene.services.reading.begin() as session:
        asked = session.scalar(select(func.count(Subscription.id)))
        assert asked == imports.BATCH_SIZE
