"""The operator hears, once, that mail does not leave."""

from datetime import timedelta
from functools import partial

import pytest
import time_machine
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from belong_mail.core import jobs
from belong_mail.core.db import now
from belong_mail.core.jobs import Job
from belong_mail.core.rate_limits import (
    LOOKUPS_PER_MINUTE,
    UNUSUAL_LOOKUPS,
    WorkerLimit,
    record_use,
)
from belong_mail.delivery import outbox
from belong_mail.delivery.mailer import SEALED_TO, post_to_address
from belong_mail.delivery.models import Delivery
from belong_mail.delivery.work import ALWAYS
from belong_mail.monitoring import alerts
from belong_mail.newsletters import release
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops import figures
from belong_mail.worker.loop import Worker
from belong_mail.worker.periodic_tasks import MAX_REST_SECONDS, REST_SECONDS, Backoff
from tests.browser_client import text_of
from tests.delivery.factories import deliveries, queue
from tests.factories import queue_issue
from tests.markers import OPERATOR, alerted, on_both, on_sqlite
from tests.overlapping import do_twice_at_once

COLLEAGUE = "colleague@example.org"
BOTH = pytest.mark.parametrize("settings", [{"BELONG_ALERT_ADDRESS": f"{OPERATOR}, {COLLEAGUE}"}])


def work(services, keyring, minutes: int = 0) -> int:
    """Let so many minutes pass for what waits, and a new worker work; count alerts asked for."""
    with services.writing.begin() as session:
        waiting = list(session.scalars(select(Delivery).where(Delivery.due_at.is_not(None))))
        for delivery in waiting:
            delivery.created_at -= timedelta(minutes=minutes)
            delivery.due_at = now() - timedelta(seconds=1)
    worker = Worker(services, keyring)
    worker.drain()
    worker.engine.close()
    with services.reading.begin() as session:
        kinds = select(Delivery.id).where(Delivery.kind == "alert")
        return len(list(session.scalars(kinds)))


@BOTH
def test_each_of_two_addresses_hears_once_that_mail_waits(services, keyring, relay, caplog):
    queue(services, 3)
    relay.always("MAIL", "535 5.7.8 Authentication credentials invalid")
    assert work(services, keyring) == 0
    assert work(services, keyring, minutes=14) == 0
    assert work(services, keyring, minutes=2) == 2
    assert work(services, keyring, minutes=20) == 2
    assert caplog.text.count("Email has been waiting for more than 15 minutes") == 1
    relay.usual()
    work(services, keyring)
    for address in (OPERATOR, COLLEAGUE):
        [mail] = relay.to(address)
        assert "doctor" in text_of(mail)
        assert "dpsk12.org" not in text_of(mail)
        assert mail["Auto-Submitted"] == "auto-generated"
    assert len(relay.accepted) == 5


@alerted
def test_the_operator_hears_that_requests_wait(services, keyring, relay):
    with services.writing.begin() as session:
        record_use(session, jobs.MINUTE, LOOKUPS_PER_MINUTE, now(), 2 * LOOKUPS_PER_MINUTE.burst)
        session.add(Job(kind="my-groups", due_at=now() - timedelta(minutes=16)))
    work(services, keyring)
    subjects = [mail["Subject"] for mail in relay.to(OPERATOR)]
    assert "Requests have been waiting to be read for more than 15 minutes" in subjects


@alerted
def test_the_operator_hears_of_requests_that_are_due_in_years(services, keyring, relay):
    """An intruder in the web keeps everyone's forms out by twice as many."""
    with services.writing.begin() as session:
        years = {"kind": "join", "due_at": now() + timedelta(days=2000), "failures": 3}
        session.execute(insert(Job), [years] * 10_001)
    work(services, keyring)
    [mail] = relay.to(OPERATOR)
    assert mail["Subject"] == "More than 10,000 requests are waiting"


@alerted
def test_email_that_waits_because_a_leader_paused_it_raises_no_alarm(services, keyring, relay):
    issue = queue(services, 3)
    relay.always("MAIL", "421 4.3.2 Closing")
    work(services, keyring)
    untouched = queue(services, 0)
    with services.writing.begin() as session:
        for each in (issue, untouched):
            release.act(session, session.get_one(Newsletter, each), release.pause)
        session.execute(update(Delivery).values(due_at=now()))
        session.execute(update(Newsletter).values(queued_at=now() - timedelta(hours=1)))
    assert work(services, keyring, minutes=16) == 0


@alerted
def test_a_trouble_that_lasts_is_told_again_after_six_hours(services, keyring, relay):
    queue(services, 3)
    relay.always("MAIL", "450 4.2.1 Peak SMTP relay limit exceeded")
    work(services, keyring)
    assert work(services, keyring, minutes=16) == 1
    relay.usual()
    work(services, keyring)
    with services.writing.begin() as session:
        queue_issue(session)
    relay.always("MAIL", "450 4.2.1 Peak SMTP relay limit exceeded")
    work(services, keyring)
    assert work(services, keyring, minutes=16) == 1
    for _ in range(2):
        with services.writing.begin() as session:
            earlier = WorkerLimit.used_until - 6 * 3600
            session.execute(update(WorkerLimit).values(used_until=earlier))
        assert work(services, keyring) == 2, "No third one while the second waits."


@alerted
@on_both("races")
def test_two_workers_in_one_minute_send_one_alert(services, worker):
    def tell(session) -> None:
        alerts.send_alerts(worker.work_in(session), (alerts.WRONG_KEYS,))

    do_twice_at_once(services, tell)
    assert [each.kind for each in deliveries(services)] == [alerts.ALERT]


@alerted
@on_sqlite
def test_a_check_that_cannot_be_measured_is_told_and_stops_no_other(services, keyring, relay):
    """SQLite keeps any word as a number, and the web may write it."""
    with services.writing.begin() as session:
        record_use(session, jobs.NOTICE, UNUSUAL_LOOKUPS, now(), UNUSUAL_LOOKUPS.burst)
        figures.note(session, figures.FAILING, 0)
        session.execute(text("UPDATE figures SET number = 'many'"))
    work(services, keyring)
    told = {mail["Subject"] for mail in relay.to(OPERATOR)}
    assert len(told) == 2
    assert alerts.BY_NAME["unusual_lookups"].wrong in told
    assert alerts.UNMEASURED.wrong in told


@BOTH
def test_no_row_lets_an_alert_go_to_anyone_who_is_not_set(services, keyring, relay):
    """Neither a forged one, nor one whose address the settings name no more."""
    with services.writing.begin() as session:
        for sealed_to in (services.sealer.seal(b"eve@dpsk12.org", SEALED_TO), b"forged"):
            outbox.post(session, alerts.ALERT, sealed_to=sealed_to)
        for address in ("eve@dpsk12.org", OPERATOR):
            post_to_address(
                session, keyring, alerts.ALERT, address, "en", check="flooded", words="Many forms."
            )
    work(services, keyring)
    assert [one.recipient for one in relay.accepted] == [OPERATOR]


def test_without_an_address_nobody_is_told(services, keyring, relay):
    queue(services, 3)
    relay.always("MAIL", "450 4.2.1 Peak SMTP relay limit exceeded")
    work(services, keyring)
    assert work(services, keyring, minutes=16) == 0


@alerted
def test_the_operator_hears_of_a_task_that_keeps_failing_until_it_is_done(services, keyring, relay):
    told, begun, worker = [], now() + timedelta(minutes=2), Worker(services, keyring)
    worker._backoff._clock = lambda: now().timestamp()
    for minute in (*range(12), 11 + 6 * 60, 12 + 6 * 60, 13 + 6 * 60, 13 + 13 * 60):
        task = done if minute == 3 or minute > 12 + 6 * 60 else fail
        worker._periodic_tasks._tasks["Names of groups are not kept"] = task, ALWAYS
        with time_machine.travel(begun + timedelta(minutes=minute), tick=False):
            worker.drain()
        told.append(len(relay.to(OPERATOR)))
    worker.engine.close()
    assert told == [*[0] * 9, 1, 1, 1, 1, 2, 2, 2]
    assert {mail["Subject"] for mail in relay.to(OPERATOR)} == {"Tasks of the worker keep failing"}


def test_an_alert_waits_for_no_other_task(services, keyring):
    """What the web writes may make any other take very long."""
    worker = Worker(services, keyring)
    assert next(iter(worker._periodic_tasks._tasks)) == "No alert is sent"
    worker.engine.close()


def test_a_task_that_fails_for_hours_ends_no_turn_and_is_said_to_fail_while_it_is_run():
    clock = [0.0]
    backoff = Backoff(list, lambda: clock[0])
    for _ in range(2000):
        clock[0] += REST_SECONDS
        backoff.run("It fails", partial(fail, None))
    assert backoff.failing() == 1
    clock[0] += MAX_REST_SECONDS
    assert backoff.failing() == 0


def test_a_task_that_fails_as_if_the_database_were_gone_ends_the_turn_only_if_it_is():
    def gone() -> None:
        raise OperationalError(None, None, ConnectionError())

    assert Backoff(list).run("It fails", gone) is None
    with pytest.raises(OperationalError):
        Backoff(gone).run("It fails", gone)


def done(_session: Session) -> None:
    """Succeed."""


def fail(_session: Session | None) -> None:
    """Stand for what reads a row that cannot be read."""
    raise ValueError
