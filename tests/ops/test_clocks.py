"""Clocks that jump, nights that are longer, workers that meet."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from belong_mail.core.db import now
from belong_mail.core.rate_limits import ALL_FORMS, ALL_FORMS_RATE, Limit, try_use
from belong_mail.core.services import make_services
from belong_mail.delivery import claims, results
from belong_mail.delivery.models import Delivery, Lease
from belong_mail.members.models import Subscription
from belong_mail.newsletters.models import Newsletter
from belong_mail.ops.hold import release_hold
from belong_mail.ops.host_state import HostStateFile
from belong_mail.worker.loop import Worker
from tests.database import query
from tests.delivery.factories import books, deliveries, queue
from tests.factories import make_members, queue_issue
from tests.markers import on_both
from tests.ops.troubles import once
from tests.servers.smtp import drop

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def elsewhere(clock, worker, services, keyring, tmp_path) -> Iterator[Worker]:
    """A worker with a state folder of its own, on the same database, that has been let in."""
    worker.drain()
    settings = replace(services.settings, state_folder=tmp_path / "other")
    other = Worker(replace(services, settings=settings), keyring)
    other.drain()
    assert other.held_because == "changed"
    state_file = HostStateFile(settings.state_folder)
    with state_file.locked_update() as seen, services.writing.begin() as session:
        release_hold(session, seen)
    yield other
    assert other.held_because is None
    other.engine.close()


def copies(relay) -> Counter[str]:
    return Counter(one.recipient for one in relay.accepted)


@pytest.mark.parametrize("jump", [-DAY, 3653 * DAY], ids=str)
@pytest.mark.parametrize("moment", ["MAIL", "DOT"])
def test_a_clock_that_jumps_while_a_message_leaves_doubles_nothing(
    moment, jump, clock, worker, relay, services, keyring
):
    """Another worker of this host looks just then: it sees by the lock that the first one lives."""
    issue = queue(services, 3)
    own = make_services(services.settings)  # with connections of its own, as a process has
    other = Worker(own, keyring)

    def leap() -> None:
        clock.shift(jump)
        other.drain()

    relay.on(moment, once(leap))
    worker.drain()
    clock.shift(-jump)
    worker.drain()
    other.engine.close()
    own.engine.dispose()
    assert set(copies(relay).values()) == {1}
    assert books(services, issue) == {"recipients": 3, "accepted": 3}


@on_both("leases")
@pytest.mark.parametrize("settings", [{"BELONG_UNCERTAIN": "0"}])
@pytest.mark.parametrize("moment", ["MAIL", "DOT"])
def test_workers_with_folders_of_their_own_do_not_take_each_other_for_dead(
    moment, elsewhere, worker, relay, services
):
    issue = queue(services, 5)
    relay.on(moment, once(elsewhere.drain))
    worker.drain()
    assert set(copies(relay).values()) == {1}
    assert books(services, issue) == {"recipients": 5, "accepted": 5}


@on_both("leases")
@pytest.mark.parametrize("settings", [{"BELONG_UNCERTAIN": "15m"}, {"BELONG_UNCERTAIN": "hold"}])
def test_a_worker_that_lost_its_lease_sends_nothing_that_another_took_over(
    elsewhere, clock, worker, relay, services
):
    """Only the lease tells of another host: after a jump of a day it is over."""
    issue = queue(services, 3)

    def take_over() -> None:
        clock.shift(DAY)
        elsewhere.drain()

    relay.on("DATA", once(take_over))
    worker.drain()
    clock.shift(HOUR)
    worker.drain()
    assert set(copies(relay).values()) == {1}
    ended = books(services, issue)
    # A worker that is slow gives up those that it has not begun.
    assert ended["accepted"] + ended.get("uncertain", 0) == 3


def test_ten_years_that_pass_in_a_moment_expire_nothing(
    clock, worker, relay, services, keyring, visitor, cli, caplog
):
    visitor.join("asian", "new@dpsk12.org")
    worker.drain()
    with services.writing.begin() as session:
        make_members(session, keyring, 1, "lgbtq")
        session.execute(update(Subscription).values(ended_at=datetime.now(UTC)))
    clock.shift(3653 * DAY)
    for _ in range(3):
        worker.drain()
    assert worker.held_because == "changed"
    assert "this host and the database are not as they last met" in caplog.text
    assert "this machine's clock is" in cli.invoke(args=["hold", "status"]).output
    assert len(query(services, select(Subscription.id))) == 2
    clock.shift(-3653 * DAY)
    visitor.join("asian", "late@dpsk12.org")
    worker.drain()
    assert worker.held_because is None
    assert len(relay.to("late@dpsk12.org")) == 1


def test_a_clock_that_is_right_after_all_is_released(
    clock, worker, worker_with, relay, services, keyring, cli
):
    worker.drain()
    clock.shift(90 * DAY)
    queue(services, 1)
    worker.drain()
    assert relay.accepted == []
    assert cli.invoke(args=["hold", "status"]).exit_code == 1
    assert cli.invoke(args=["hold", "release"]).exit_code == 0
    worker.drain()
    worker_with(keyring).drain()
    assert len(relay.accepted) == 1


AHEAD = pytest.mark.parametrize("ahead", [HOUR, 20 * DAY], ids=str)


def settle_at(clock, worker, cli, ahead: timedelta) -> None:
    """Put the clock right again, and do what `status` says."""
    clock.shift(-ahead)
    worker.drain()
    assert cli.invoke(args=["outbox", "retry"]).exit_code == 0
    worker._meet_at = 0.0
    worker.drain()
    assert worker.held_because is None


@AHEAD
def test_requests_made_while_a_clock_was_ahead_are_answered_once_the_operator_says_so(
    ahead, clock, worker, relay, visitor, services, cli
):
    """A message that had been put off at once; what limits of that time put off, when it comes."""
    worker.drain()
    clock.shift(ahead)
    relay.always("RCPT ada@dpsk12.org", "452 4.2.2 Mailbox full")
    visitor.join("asian", "ada@dpsk12.org")
    worker.drain()
    visitor.join("asian", "bea@dpsk12.org")
    relay.usual()
    settle_at(clock, worker, cli, ahead)
    clock.shift(timedelta(minutes=7))
    worker.drain()
    assert len(relay.to("ada@dpsk12.org")) == 1
    assert all(each.created_at <= now() for each in deliveries(services) if each.attempts)
    assert not any("no rule explains" in said for said in doctor_words(cli))
    clock.shift(ahead)
    worker.drain()
    assert len(relay.to("bea@dpsk12.org")) == 1


def test_forms_of_strangers_are_taken_again_once_the_operator_says_so(clock, services, cli):
    def take_form() -> datetime | None:
        wait = timedelta(minutes=5)
        with services.writing.begin() as session:
            return try_use(session, ALL_FORMS, ALL_FORMS_RATE, now(), wait, Limit)

    clock.shift(8 * HOUR)
    assert take_form() == now()
    clock.shift(-8 * HOUR)
    assert take_form() is None
    assert cli.invoke(args=["outbox", "retry"]).exit_code == 0
    assert take_form() == now()


def doctor_words(cli) -> list[str]:
    return [line for line in cli.invoke(args=["status"]).output.splitlines() if line]


@AHEAD
def test_a_web_whose_clock_was_ahead_leaves_joins_that_status_names_with_their_cure(
    ahead, clock, worker, relay, visitor, cli
):
    """No worker ran meanwhile, so that none can have seen the wrong clock."""
    worker.drain()
    clock.shift(ahead)
    visitor.join("asian", "ada@dpsk12.org")
    clock.shift(-ahead)
    [said] = doctor_words(cli)
    assert "no rule explains: a clock was ahead (now 1)" in said
    assert "`outbox retry`" in said
    assert cli.invoke(args=["outbox", "retry"]).exit_code == 0
    worker.drain()
    assert len(relay.to("ada@dpsk12.org")) == 1
    assert doctor_words(cli) == []


@AHEAD
@pytest.mark.parametrize("settings", [{"BELONG_SEND_RATE": "6000", "BELONG_DAILY_QUOTA": "50"}])
def test_pace_quota_and_rest_of_a_clock_that_was_ahead_hold_nothing_back_after_that(
    ahead, clock, worker, relay, services, cli
):
    worker.drain()
    clock.shift(ahead)
    first = queue(services, 1)
    worker.drain()
    relay.always("MAIL", "421 4.3.2 Closing")
    second = queue_more(services)
    worker.drain()
    relay.usual()
    settle_at(clock, worker, cli, ahead)
    for _ in range(3):
        clock.shift(timedelta(minutes=2))
        worker.drain()
    for issue in (first, second):
        assert books(services, issue) == {"recipients": 1, "accepted": 1}


def queue_more(services) -> int:
    with services.writing.begin() as session:
        return queue_issue(session).id


def test_periodic_tasks_are_done_again_after_a_clock_that_was_ahead(clock, worker):
    clock.shift(DAY)
    worker.drain()
    assert not worker._is_purge_due()
    clock.shift(-DAY)
    assert worker._is_purge_due()


@on_both("leases by the database's clock")
def test_a_lease_of_a_clock_that_was_ahead_ends_after_two_minutes(clock, worker, relay, services):
    """Its worker had a folder of its own and is gone: only the lease tells."""
    issue = queue(services, 1)
    with services.writing.begin() as session:
        claims.claim_chunk(session, "elsewhere", worker._issue_mailer, 70)
        session.add(Lease(owner="elsewhere", until=results._clock(session) + 30 * DAY))
    worker.drain()
    assert relay.accepted == []
    with services.reading.begin() as session:
        [until] = session.scalars(select(Lease.until).where(Lease.owner == "elsewhere"))
        assert until <= results._clock(session) + timedelta(minutes=2)
    assert books(services, issue)["sending"] == 1


def test_a_due_time_that_a_rule_explains_is_kept(clock, worker, relay, services, visitor, cli):
    """Doubt, limits of a person, and the hour that a lead chose; a second try is made now."""
    relay.always("RCPT member0@dpsk12.org", "452 4.2.2 Mailbox full")
    relay.script("DOT member1@dpsk12.org", drop())
    queue(services, 2)
    for slug in ("asian", "latinx-hispanic", "lgbtq", "the-village") * 4:
        visitor.join(slug, "ada@dpsk12.org")
        worker.drain()
    with services.writing.begin() as session:
        issue = queue_issue(session)
        issue.queued_at, issue.due_at = None, datetime.now(UTC) + 30 * DAY
    before = times(services)
    assert len(before) > 2
    assert doctor_words(cli) == []
    relay.usual()
    assert cli.invoke(args=["outbox", "retry"]).exit_code == 0
    worker.drain()
    assert len(relay.to("member0@dpsk12.org")) == 1
    assert set(times(services)) < set(before)
    assert len(times(services)) == len(before) - 1
    assert doctor_words(cli) == []


@pytest.mark.parametrize("settings", [{"BELONG_UNCERTAIN": "168h"}])
@pytest.mark.parametrize("ahead", [timedelta(minutes=3), 8 * HOUR], ids=str)
def test_an_uncertain_copy_is_not_resent_because_a_clock_was_ahead(
    ahead, clock, worker, relay, services, cli
):
    """One whose answer was lost before the clock was wrong, and one meanwhile: both wait a week."""
    relay.always("DOT", drop())
    queue(services, 1)
    worker.drain()
    clock.shift(ahead)
    queue_more(services)
    worker.drain()
    relay.usual()
    settle_at(clock, worker, cli, ahead)
    for _ in range(3):
        clock.shift(timedelta(minutes=2))
        worker.drain()
    assert len(relay.accepted) == 2
    assert doctor_words(cli) == []
    clock.shift(7 * DAY + ahead)
    for _ in range(3):
        worker._meet_at = 0.0
        worker.drain()
        clock.shift(timedelta(minutes=2))
    assert len(relay.accepted) == 4


def times(services) -> list[datetime]:
    with services.reading.begin() as session:
        due = session.scalars(select(Delivery.due_at).where(Delivery.due_at > now()))
        return [*due, *session.scalars(select(Newsletter.due_at).where(Newsletter.due_at > now()))]
