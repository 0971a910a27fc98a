"""Locks that the web holds in PostgreSQL hold back little else than what they lock."""

import time
from datetime import timedelta
from threading import Thread, Timer

import pytest
import time_machine
from sqlalchemy import delete, event, insert, select, text

from belong_mail.core import jobs
from belong_mail.core.db import now, required, update_if_free
from belong_mail.core.decryption import UnknownKey
from belong_mail.core.encryption import WRAPPED
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import WorkerLimit
from belong_mail.delivery import outcomes
from belong_mail.delivery.models import Delivery, State
from belong_mail.delivery.work import Work
from belong_mail.members.models import PendingConfirmation
from belong_mail.newsletters.jobs import FollowIssue
from belong_mail.ops.grants import WEB
from tests.browser_client import text_of
from tests.factories import queue_issue
from tests.markers import OPERATOR, alerted, on_postgresql, periodic_tasks
from tests.privacy.doors import guess
from tests.privacy.silencing import FAILED, hear
from tests.scenario import VILLAGE, drain_in
from tests.web_role import locked_by_web

pytestmark = [on_postgresql, periodic_tasks]
ADA, BEN = "ada@dpsk12.org", "ben@dpsk12.org"
LEAD = "lead@dpsk12.org"
NEWSLETTERS = "LOCK TABLE newsletters"


@pytest.mark.parametrize(
    "lock",
    [
        "SELECT id FROM newsletters WHERE id = 1 FOR UPDATE",
        "UPDATE newsletters SET is_late = is_late WHERE id = 1",
    ],
)
def test_other_newsletters_leave_while_the_row_of_one_is_locked(lock, scenario):
    scenario.enter(ADA)
    scenario.enter(BEN, "asian")
    scenario.queue_at_once()
    scenario.queue_at_once("asian")
    before = len(scenario.relay.accepted)
    with locked_by_web(scenario.engine, lock):
        scenario.worker.drain()
        assert BEN in [each.recipient for each in scenario.relay.accepted[before:]]
    scenario.worker.drain()
    told = sorted(each.recipient for each in scenario.relay.accepted[before:])
    assert told == [ADA, BEN]


def test_single_email_leaves_while_the_table_of_newsletters_is_locked(scenario):
    """Also beside a copy that is due again."""
    scenario.enter(ADA)
    scenario.relay.script("RCPT", "451 4.3.0 Later")
    scenario.do(queue_issue)
    scenario.worker.drain()
    scenario.visitor.join(VILLAGE, BEN)
    with time_machine.travel(now() + timedelta(minutes=10)):
        scenario.worker.read_jobs()
        with locked_by_web(scenario.engine, NEWSLETTERS):
            assert scenario.mails(BEN)
        scenario.worker.engine._issues_at = 0.0
        assert len(scenario.mails(ADA)) == 3


def test_email_leaves_while_keys_cannot_be_tried_for_a_lock(scenario):
    """The web may send the worker what an unknown key has wrapped: then all are tried again."""
    scenario.enter(ADA)
    scenario.visitor.join(VILLAGE, BEN)
    opener = scenario.worker._keyring.opener
    with pytest.raises(UnknownKey):
        opener.unwrap(WRAPPED + b"x" * 100, "a.column", "")
    scenario.worker.read_jobs()
    with locked_by_web(scenario.engine, "LOCK TABLE waitlist_entries"):
        assert scenario.mails(BEN)


def test_what_an_email_changes_by_the_way_waits_for_no_lock(scenario):
    said: list[object] = []
    event.listen(scenario.engine, "handle_error", lambda met: said.append(met.original_exception))
    with (
        locked_by_web(scenario.engine, "LOCK TABLE pending_confirmations"),
        scenario.services.writing.begin() as session,
    ):
        update_if_free(session, PendingConfirmation, created_at=now())
    assert ["could not obtain lock" in str(each) for each in said] == [True]


def follow(scenario, times: int = 1) -> None:
    """Ask for jobs that need the row of a newsletter."""
    with scenario.services.writing.begin() as session:
        said = FollowIssue(queue_issue(session).public_id)
        for _ in range(times):
            said.ask(session, scenario.services.sealer)


@alerted
def test_the_operator_hears_of_any_request_that_met_a_lock(scenario):
    follow(scenario)
    with locked_by_web(scenario.engine, "SELECT id FROM newsletters FOR UPDATE"):
        scenario.worker.read_jobs()
    assert FAILED in hear(scenario)


def test_a_hundred_requests_that_meet_a_lock_keep_no_other_waiting_for_long(scenario):
    """They wait for one lock in vain, and briefly for the next ones: not 20 times 5 seconds."""
    follow(scenario, 20)
    scenario.visitor.join(VILLAGE, BEN)
    lock = "SELECT id FROM newsletters FOR UPDATE"
    with locked_by_web(scenario.engine, lock, is_brief=False):
        began = time.monotonic()
        scenario.worker.read_jobs()
        assert time.monotonic() - began < 50
        assert scenario.query(select(Job.kind)) == ["follow-issue"] * 20


def test_refused_emails_whose_members_are_locked_wait_for_one_lock_in_vain(scenario):
    """They are written down in one transaction, and all other email waits for its end.

    It would take 6 times 5 seconds.
    """
    scenario.enter(ADA)
    engine, lock = scenario.worker.engine, text("SELECT id FROM subscriptions FOR UPDATE")
    engine._undelivered = lambda session, _number: session.execute(lock)
    with (
        locked_by_web(scenario.engine, lock.text, is_brief=False),
        scenario.services.writing.begin() as session,
    ):
        held = {"state": State.SENDING, "claimed_by": engine._lock.name}
        emails = [Delivery(kind="welcome-member", sealed_to=b"", **held) for _ in range(6)]
        session.add_all(emails)
        session.flush()
        began = time.monotonic()
        engine._settle(session, [(each.id, outcomes.UNWRITABLE) for each in emails])
        assert time.monotonic() - began < 25


def test_a_request_put_off_for_a_lock_comes_after_a_request_made_meanwhile(scenario):
    follow(scenario)
    with locked_by_web(scenario.engine, "SELECT id FROM newsletters FOR UPDATE"):
        scenario.worker.read_jobs()
    scenario.visitor.join(VILLAGE, BEN)
    with (
        time_machine.travel(now() + timedelta(seconds=30)),
        scenario.services.writing.begin() as session,
    ):
        found = scenario.worker._waiting(session, now())
        kinds = [session.get_one(Job, each).kind for each in found]
    assert kinds == ["join", "follow-issue"]


@pytest.fixture
def made_up(scenario):
    scenario.invite_lead(LEAD)
    with scenario.services.writing.begin() as session:
        session.add(Job(kind="a-kind", sealed=b""))
    return lambda task: scenario.worker._tasks.update({"a-kind": task})


ACCOUNTS = text("SELECT id FROM accounts FOR UPDATE")


def test_a_request_that_meets_a_lock_and_is_being_deleted_ends_no_turn(scenario, made_up):
    """Its row is the web's to lock as soon as the worker's transaction has failed."""
    with locked_by_web(scenario.engine, str(ACCOUNTS)), scenario.engine.connect() as web:
        web.execute(text("SET LOCAL lock_timeout = '9s'"))
        deleting = Thread(target=lambda: web.execute(text("DELETE FROM jobs")))

        def meet(work: Work) -> None:
            deleting.start()
            work.session.execute(ACCOUNTS)

        made_up(meet)
        assert scenario.worker.read_jobs()[0]
        deleting.join()
        assert not scenario.worker.read_jobs()[0]
        assert scenario.query(select(Job.kind)) == ["a-kind"]


def test_a_deadlock_that_the_web_makes_ends_no_turn(scenario, made_up):
    with scenario.engine.connect() as web:
        web.execute(text("SET LOCAL deadlock_timeout = '60s'"))
        web.execute(text("SET LOCAL lock_timeout = 0"))
        web.execute(ACCOUNTS)
        deleting = Timer(0.3, lambda: web.execute(text("DELETE FROM jobs")))

        def meet(work: Work) -> None:
            deleting.start()
            work.session.execute(ACCOUNTS)  # is ended, as the only one that looks in time

        made_up(meet)
        assert scenario.worker.read_jobs()[0]
        deleting.join()
    assert scenario.query(select(Job.kind)) == ["a-kind"]


def test_a_row_that_the_server_cannot_load_ends_no_turn(scenario, made_up):
    """Its failures are counted; the web can write rows of more than a gigabyte."""
    made_up(lambda work: work.session.execute(text("SELECT repeat('a', 2000000000)")))
    assert scenario.worker.read_jobs()[0]
    assert scenario.query(select(Job.failures)) == [1]


@alerted
def test_no_locks_keep_an_alert_back_for_longer_than_they_are_held(scenario):
    """A task that meets one is tried again within the minute, however often that was so."""
    scenario.worker.drain()
    scenario.do(jobs.note_failure, now())
    # What another worker's transaction keeps locked while it waits for a lock of the web's.
    row = text("SELECT key FROM worker_limits FOR UPDATE")
    for minute in range(1, 6):
        with (
            time_machine.travel(now() + timedelta(minutes=2 * minute), tick=False),
            locked_by_web(scenario.engine, "SELECT 1"),
            scenario.engine.connect() as other,
        ):
            other.execute(row)
            scenario.worker._backoff._clock = lambda: now().timestamp()
            assert not scenario.mails(OPERATOR)
    with time_machine.travel(now() + timedelta(minutes=12), tick=False):
        scenario.worker.drain()
    told = [text_of(mail) for mail in scenario.relay.to(OPERATOR)]
    assert [FAILED in told[0], "keep failing" in told[1]] == [True, True]


@alerted
@pytest.mark.parametrize("has_begun", [True, False])
def test_the_operator_hears_while_tables_are_locked(has_begun, scenario):
    """All that the web may lock; also from a worker that starts meanwhile."""
    scenario.enter(ADA)
    scenario.do(jobs.note_failure, now())
    scenario.worker._do_keys_fit = has_begun
    tables = ", ".join(table for table, rights in WEB.items() if rights.may_delete)
    with (
        time_machine.travel(now() + timedelta(minutes=2)),
        locked_by_web(scenario.engine, f"LOCK TABLE {tables}"),
    ):
        assert FAILED in "".join(map(text_of, scenario.mails(OPERATOR)))
    assert scenario.worker._are_all_tried == has_begun
    scenario.worker._check_at = 0.0
    scenario.worker.drain()
    assert scenario.worker._are_all_tried


@alerted
@pytest.mark.parametrize(
    ("change", "lock"),
    [
        (
            "rights SET ends_at = '2020-01-01', reminded_at = CURRENT_TIMESTAMP",
            "SELECT 1 FROM rights FOR UPDATE",
        ),
        ("groups SET ends_at = '2020-01-01'", "SELECT 1 FROM groups FOR UPDATE"),
    ],
    ids=["a right", "a group"],
)
def test_the_operator_hears_while_a_lock_keeps_untold_what_a_row_has_ended(change, lock, scenario):
    for address in (ADA, BEN):
        scenario.invite_office(address)
    scenario.invite_lead(LEAD)
    scenario.worker.drain()
    with scenario.engine.begin() as connection:
        connection.execute(text(f"UPDATE {change}"))
    with locked_by_web(scenario.engine, lock):
        for minute in range(1, 8):
            with time_machine.travel(now() + timedelta(minutes=2 * minute), tick=False):
                scenario.worker._backoff._clock = lambda: now().timestamp()
                scenario.worker.drain()
    subjects = {mail["Subject"] for mail in scenario.relay.to(OPERATOR)}
    assert subjects == {"Tasks of the worker keep failing"}


@alerted
def test_a_failed_lookup_is_told_though_it_cannot_be_noted_at_once(scenario):
    """Another worker is noting one, and waits for a lock; the web deletes the job meanwhile."""
    guess(scenario, "my-groups", ADA)
    scenario.worker._tasks["my-groups"] = lambda _: required(None, ValueError)
    noting = insert(WorkerLimit).values(key=jobs.FAILED_NOTICE, used_until=0.0)
    with scenario.engine.connect() as other:
        other.execute(noting)
        scenario.worker.read_jobs()
    scenario.execute(delete(Job))
    for minutes in (2, 4, 500):  # told once, it is forgotten
        drain_in(scenario.worker, minutes=minutes)
    [mail] = scenario.relay.to(OPERATOR)
    assert FAILED in text_of(mail)
