"""Work that fails or is killed half way is done whole or not at all, and can be done again."""

import pytest

from belong_mail.core.db import make_engine
from belong_mail.ops import rooms, schema
from tests.db_dump import dump_of, kept_of
from tests.factories import make_members, queue_at_once
from tests.faults.failing import failures
from tests.markers import night, on_both
from tests.postgres import postgresql


@on_both("transactions")
def test_an_issue_is_queued_whole_or_not_at_all(worker, services, keyring):
    with services.writing.begin() as session:
        make_members(session, keyring, 5)
    before = kept_of(services)

    def queue() -> None:
        with services.writing.begin() as session:
            queue_at_once(worker, session)

    def check() -> None:
        assert kept_of(services) == before

    assert failures(services.engine, queue, check) >= 3
    after = dump_of(services)
    assert len(after["newsletters"]) == len(after["chunks"]) == 1


@on_both("transactions")
def test_the_clock_of_retention_removes_all_of_a_turn_or_nothing(services, scene):
    scene.queue(3)
    scene.drain()
    before = kept_of(services)

    def purge_once() -> None:
        with services.writing.begin() as session:
            rooms.purge_all(session)

    def check() -> None:
        assert kept_of(services) == before

    assert failures(services.engine, purge_once, check) >= 3


@night("faults")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_migration_that_fails_at_any_statement_can_be_run_again(kind, tmp_path_factory):

    def try_on(url: str) -> None:
        engine = make_engine(url)

        def check() -> None:
            assert schema.differences(engine) != []

        assert failures(engine, lambda: schema.upgrade(engine), check, step=9) >= 3
        assert schema.differences(engine) == []
        engine.dispose()

    if kind == "sqlite":
        try_on(f"sqlite:///{tmp_path_factory.mktemp('migration')}/new.db")
    else:
        with postgresql() as url:
            try_on(url)
