"""The work of each minute, and after a worker's death, reads no large table whole."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from sqlalchemy import Engine, insert, select, text, update

from belong_mail.core.db import Base, now
from belong_mail.delivery import claims, outbox, results
from belong_mail.delivery.models import Delivery, Lease, State
from belong_mail.delivery.worker_lock import WorkerLock
from belong_mail.members.models import Subscription
from belong_mail.monitoring import checks
from belong_mail.monitoring.measures import Site, deliveries
from belong_mail.newsletters import release
from belong_mail.newsletters import service as newsletters
from belong_mail.newsletters.models import Newsletter
from tests.counting import listening
from tests.factories import group_named, make_member, queue_at_once
from tests.markers import on_both, one_by_day, periodic_tasks

pytestmark = [periodic_tasks, on_both("each database plans queries in its own way")]

MANY = 3_000
LARGE = ("deliveries", "subscriptions", "jobs")
# Indexes of a few rows, which may be walked from end to end.
OF_WHAT_IS_LEFT = re.compile(
    r"ix_\w+_(due|due_again|told|single|inactive|introduced)|ix_jobs_subscription_id"
)
READS = re.compile("SELECT|UPDATE|DELETE|INSERT INTO chunks")
# So many rows from an end of a table are read, and no more: nothing is left out or sorted.
FEW_BY_KEY = re.compile(r"FROM (\w+) ORDER BY \1\.id(?: DESC)?\s+LIMIT")
SCAN = re.compile(rf"SCAN ({'|'.join(LARGE)})(?: USING (?:COVERING )?INDEX (\w+))?")


def _explain_sqlite(driver: Any, statement: str, parameters: Any) -> str:
    steps = driver.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
    scans = [scan for step in steps if (scan := SCAN.match(step[3]))]
    wrong = Counter(scan[0] for scan in scans if not OF_WHAT_IS_LEFT.fullmatch(scan[2] or ""))
    return ", ".join(wrong - Counter(f"SCAN {each}" for each in FEW_BY_KEY.findall(statement)))


def _explain_postgresql(driver: Any, statement: str, parameters: Any) -> str:
    [[plan]] = driver.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters).fetchall()
    return ", ".join(_whole(plan[0]["Plan"]))


# Its single messages are few as long as PostgreSQL says so, for it counts them.
ABOUT = "ix_deliveries_about_id"


def _whole(node: dict[str, Any], *, is_limited: bool = False) -> Iterator[str]:
    kind, index = node["Node Type"], node.get("Index Name", "")
    is_index = kind.startswith("Index") and not node.get("Index Cond") and index != ABOUT
    if (
        node.get("Relation Name") in LARGE
        and (kind == "Seq Scan" or (is_index and not OF_WHAT_IS_LEFT.fullmatch(index)))
        and not (is_limited and "Filter" not in node)
    ):
        yield json.dumps(node)
    for inner in node.get("Plans", ()):
        # By the primary key, or whole and sorted if there are no more rows than the limit.
        yield from _whole(inner, is_limited=kind == "Limit" or (is_limited and kind == "Sort"))


@contextmanager
def watched(engine: Engine) -> Iterator[SimpleNamespace]:
    """Keep each statement that would read a large table whole, and count all."""
    plans = SimpleNamespace(seen=0, wrong={})
    explain = _explain_sqlite if engine.dialect.name == "sqlite" else _explain_postgresql

    def look(connection, _cursor, statement, parameters, *_) -> None:
        if READS.match(statement) and not isinstance(parameters, list):
            plans.seen += 1
            if scanned := explain(connection.connection.driver_connection, statement, parameters):
                plans.wrong[statement] = scanned

    with listening(engine, "before_cursor_execute", look):
        yield plans


@pytest.fixture
def filled(worker, services, keyring) -> Engine:
    """Many members, an issue that went to them, and requests that wait for later."""
    engine = services.engine
    with services.writing.begin() as session:
        group_id = make_member(session, keyring, "first@dpsk12.org").group_id
        issue = queue_at_once(worker, session).id
        session.execute(text("UPDATE chunks SET inserted = planned"))
        at = now()
        member = {"group_id": group_id, "wrapped_address": b"x" * 60, "language": "en"}
        member |= {"confirmed_at": at, "is_suppressed": False}
        numbers = range(10, MANY)
        session.execute(
            insert(Base.metadata.tables["subscriptions"]),
            [
                {**member, "id": each, "public_id": str(each), "address_index": b"%d" % each}
                for each in numbers
            ],
        )
        sent = {"kind": "newsletter", "newsletter_id": issue, "state": State.ACCEPTED}
        sent |= {"finished_at": at, "due_at": None, "is_dot_sent": True}
        session.execute(
            insert(Base.metadata.tables["deliveries"]),
            [{**sent, "subscription_id": each} for each in numbers],
        )
        later = {"kind": "join", "sealed": b"x" * 100, "due_at": at + timedelta(days=1)}
        session.execute(insert(Base.metadata.tables["jobs"]), [later] * MANY)
    if engine.dialect.name != "sqlite":
        with engine.begin() as connection:
            connection.execute(text("ANALYZE"))
    return engine


def age(services) -> None:
    """Let each kind of thing have something that is over."""
    month = now() - timedelta(days=40)
    with services.writing.begin() as session:
        for member, column in ((11, "ended_at"), (12, "confirmed_at"), (13, "requested_at")):
            found = session.get_one(Subscription, member)
            setattr(found, column, None if column == "confirmed_at" else month)
        found.is_suppressed = True
        session.get_one(Subscription, 14).wrapped_introduction = b"x"
        for name, value in (("created_at", month), ("finished_at", month), ("due_at", None)):
            for one in session.query(Delivery).where(Delivery.newsletter_id.is_(None)):
                setattr(one, name, value)


@pytest.mark.parametrize(
    "settings", [{"BELONG_ALERT_ADDRESS": "o@example.org", "BELONG_DAILY_QUOTA": "100"}]
)
def test_no_periodic_task_and_no_count_of_a_day_reads_a_large_table_whole(
    visitor, worker, services, filled
):
    visitor.send("/contact", topic="need", message="We need a room.", email="", name="")
    with services.writing.begin() as session:
        outbox.post(session, "welcome-member", subscription_id=10)
        outbox.post(session, "sign-in", sealed_to=b"x", sealed_arguments=b"x")
    with watched(filled) as counting:
        worker.drain()
    age(services)
    with time_machine.travel(now() + timedelta(minutes=2)), watched(filled) as plans:
        worker.step()
    assert counting.wrong == plans.wrong == {}
    assert min(counting.seen, plans.seen) > 20
    with services.reading.begin() as session:
        assert [session.get(Subscription, each) for each in (11, 12, 13)] == [None] * 3
        single = session.query(Delivery.kind).where(Delivery.newsletter_id.is_(None))
        assert list(single) == []


def test_taking_over_from_a_dead_worker_reads_no_large_table_whole(
    worker, services, filled, tmp_path
):
    worker.drain()
    lost = WorkerLock(tmp_path / "elsewhere" / "workers")
    with services.writing.begin() as session:
        results.renew_lease(session, lost.name)
        session.flush()
        held = {"who": lost.name, "until": now() - timedelta(minutes=2), "state": State.SENDING}
        session.execute(
            text("UPDATE leases SET held = '20,21', until = :until WHERE owner = :who"), held
        )
        session.execute(
            text("UPDATE deliveries SET claimed_by = :who, state = :state WHERE id IN (20, 21)"),
            held,
        )
    with watched(filled) as plans:
        worker.engine.recover()
    lost.end()
    assert plans.wrong == {}
    with services.reading.begin() as session:
        assert {session.get_one(Delivery, each).state for each in (20, 21)} == {State.UNCERTAIN}


def test_due_deliveries_are_found_without_reading_all_of_them(filled):
    """PostgreSQL keeps one plan for any time; by it a third of all rows might be due."""
    statements = (claims._LOOKING, *claims._ALL_DUE, claims._NEXT_CHUNK)
    with filled.connect() as connection:
        driver: Any = connection.connection.driver_connection
        for each in statements:
            sql, given, _ = each.bind(filled.dialect, {"at": now(), "limit": 70})
            if filled.dialect.name == "sqlite":
                assert _explain_sqlite(driver, sql, given) == ""
                continue
            used = [name for name in given if f"%({name})s" in sql]
            kept = sql % {name: f"${number}" for number, name in enumerate(used, 1)}
            driver.execute("SET plan_cache_mode = force_generic_plan")
            driver.execute(f"PREPARE kept AS {kept}")
            anything = ", ".join(["NULL"] * len(used))
            assert _explain_postgresql(driver, f"EXECUTE kept({anything})", None) == ""
            driver.execute("DEALLOCATE kept")


def test_planning_an_issue_reads_no_other_groups_members(services, filled):
    with services.writing.begin() as session:
        issue = newsletters.draft(session, group_named(session, "asian"), "June", "Hello")
        with watched(filled) as plans:
            newsletters.plan(session, issue)
    assert plans.wrong == {}
    assert plans.seen == 3


@one_by_day("each state of an issue", of="database_url")
@pytest.mark.parametrize("moment", ["sending", "deferred", "at rest"])
def test_neither_metrics_nor_pages_nor_reports_read_the_copies_of_an_issue(
    services, filled, moment
):
    """In any state: what is in hand is found by the leases, the rest is counted."""
    with services.writing.begin() as session:
        in_hand = update(Delivery).where(Delivery.id.between(20, 80))
        if moment == "sending":
            session.execute(in_hand.values(state=State.SENDING, claimed_by="worker"))
            ids = ",".join(map(str, range(20, 81)))
            session.add(Lease(owner="worker", until=now(), held=ids))
            session.execute(text("UPDATE chunks SET inserted = NULL"))
        elif moment == "deferred":
            session.execute(in_hand.values(state=State.DEFERRED, due_at=now()))
    with watched(filled) as plans, services.reading.begin() as session:
        site = Site(session, services.settings, now())
        found = deliveries(session)
        checks.wrong(site)
        issue = session.scalars(select(Newsletter)).one()
        report = newsletters.report(session, issue)
        release.issue_status(session, issue)
    with services.writing.begin() as session, watched(filled) as settled:
        newsletters.log_endings(session, now())
    wrong = [*plans.wrong, *settled.wrong]
    assert [each for each in wrong if "jobs" not in each] == []
    waiting = {"sending": "sending", "deferred": "deferred"}.get(moment)
    for counts in (found, report):
        assert counts["accepted"] == MANY - 10 - (61 if waiting else 0)
        assert waiting is None or counts[waiting] == 61
