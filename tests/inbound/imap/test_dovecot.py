"""Email that comes back to a real mailbox: read by the worker, counted once, moved, deleted."""

import time
import tracemalloc
from datetime import timedelta

import time_machine
from sqlalchemy import func, select, update

from belong_mail.core.db import now
from belong_mail.core.retention import READ_MAIL_AGE
from belong_mail.inbound.models import InboundDigest, InboundMailbox
from belong_mail.members.models import Subscription
from tests.database import execute, query
from tests.inbound.mail import UNKNOWN, bounce, complaint
from tests.inbound.scenario import ADA, jobs_of, last_poll, poll
from tests.markers import on_both, on_sqlite
from tests.processes import running
from tests.servers.dovecot import PASSWORD, needs_dovecot

pytestmark = needs_dovecot
HUMAN = b"From: ada@dpsk12.org\r\nTo: b@example.org\r\nSubject: Lunch?\r\n\r\nAt noon?\r\n"


def test_a_bounce_in_the_mailbox_counts_like_one_by_the_pipe(scenario, inbox):
    """Twice, days apart, for an address that does not exist: the membership ends."""
    scenario.add(ADA, "ben@dpsk12.org")
    for _ in range(2):
        issue = scenario.issue()
        path = scenario.copies(ADA)[-1].return_path
        inbox.put(bounce(path, ADA, UNKNOWN))
        poll(scenario.worker)
        assert scenario.books(issue)["bounced"] == 1
        scenario.pass_days(2)
    assert scenario.members() == 1
    assert inbox.counts() == (0, 2)


def test_a_mailbox_that_is_numbered_anew_is_read_again_and_nothing_counts_twice(scenario, inbox):
    """Ada complains, is a member again, and the server is restored with what it had."""
    _, path = scenario.one_copy()
    message = complaint(path)
    inbox.put(message)
    poll(scenario.worker)
    assert scenario.members() == 0
    execute(scenario.services, update(Subscription).values(ended_at=None, is_suppressed=False))
    inbox.put(message, HUMAN)
    inbox.number_anew()
    poll(scenario.worker)
    assert inbox.counts() == (0, 3)
    assert scenario.members() == 1
    assert query(scenario.services, select(func.count(InboundDigest.id)))[0] == 2


@on_sqlite
def test_a_message_of_fifty_megabytes_costs_what_its_beginning_costs(scenario, inbox):
    issue, path = scenario.one_copy()
    report = bounce(path, ADA, UNKNOWN)
    inbox.put(b"Subject: The folder is there now\r\n\r\n")
    file = inbox.maildir / "new" / "1.large.example.org"
    with file.open("wb") as large:
        large.write(report)
        large.truncate(50 * 1024 * 1024)
    tracemalloc.start()
    poll(scenario.worker)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert scenario.books(issue)["bounced"] == 1
    assert peak < 8 * 1024 * 1024
    assert inbox.counts() == (0, 2)


@on_sqlite
def test_a_read_message_is_deleted_after_a_week(scenario, inbox):
    inbox.put(HUMAN)
    poll(scenario.worker)
    # A day less: the server's days may be those of another time zone.
    with time_machine.travel(now() + READ_MAIL_AGE - timedelta(days=1), tick=True):
        forget_deletion(scenario.worker)
        poll(scenario.worker)
        assert inbox.counts() == (0, 1)
    with time_machine.travel(now() + 2 * READ_MAIL_AGE, tick=True):
        forget_deletion(scenario.worker)
        poll(scenario.worker)
        assert inbox.counts() == (0, 0)


def forget_deletion(worker) -> None:
    """Let the next poll delete what is old, as one does each hour."""
    assert worker._intake is not None
    worker._intake._delete_at = 0.0


@on_both("races")
def test_two_workers_that_start_at_once_read_each_message_once(environment, inbox, services):
    inbox.put(*(HUMAN.replace(b"noon", f"{number}".encode()) for number in range(60)))
    with (
        running(environment, "worker", "--drain") as one,
        running(environment, "worker", "--drain") as other,
    ):
        assert (one.wait(), other.wait()) == (0, 0)
    left, moved = inbox.counts()
    assert left == 0
    assert moved >= 60, "Two that move one message at the same moment may leave two copies."
    with services.reading.begin() as session:
        assert session.scalar(select(func.count(InboundDigest.id))) == 60
        assert jobs_of(session) == 0


@on_sqlite
def test_a_wrong_password_is_told_in_words_and_the_next_polls_are_rarer(
    scenario, inbox, cli, services, caplog
):
    """No address and no word of the server stands in the log."""
    inbox.put(HUMAN)
    worker = scenario.worker
    assert worker._intake is not None
    right = worker._intake._location
    object.__setattr__(right, "password", "wrong")
    poll(worker)
    first = worker._intake.poll_at - time.monotonic()
    poll(worker)
    assert worker._intake.poll_at - time.monotonic() > first + 30
    execute(services, update(InboundMailbox).values(failures=99))
    poll(worker)
    assert worker._intake.poll_at - time.monotonic() <= 900
    assert "could not be used, at LOGIN." in caplog.text
    assert inbox.user not in caplog.text
    object.__setattr__(right, "password", PASSWORD)
    poll(worker)
    assert inbox.counts() == (0, 1)
    last = last_poll(services)
    assert (last.failures, last.failed_step) == (0, "")
    assert "The mailbox for bounces opens. Unread messages: 0." in cli.invoke(args="doctor").output


@on_sqlite
def test_a_server_that_is_not_who_it_says_is_told_nothing(worker, inbox, services):
    assert worker._intake is not None
    object.__setattr__(worker._intake._location, "ca", None)
    poll(worker)
    last = last_poll(services)
    with services.reading.begin() as session:
        assert jobs_of(session) == 0
    assert (last.failures, last.failed_step) == (1, "CONNECT")
    assert inbox.counts() == (0, 0)
