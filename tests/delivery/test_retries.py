"""The engine when the relay says no, later, or nothing."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from belong_mail.core.db import now
from belong_mail.delivery import outbox, outcomes, retry
from belong_mail.delivery.models import Delivery, State
from belong_mail.mail.smtp.replies import Reply
from tests.delivery.factories import books, deliveries, queue
from tests.factories import make_member
from tests.markers import on_sqlite, one_by_day
from tests.servers.smtp import drop

Clock = time_machine.Traveller
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def tries(relay) -> list[str]:
    return [command for command in relay.commands if command.startswith("MAIL")]


def times_of(worker, clock, count: Callable[[], int]) -> list[int]:
    """Let a worker work until an issue is late; return the minutes at which the count rose."""
    times: list[int] = []
    for minute in range(80):
        before = count()
        worker.drain()
        times += [minute] * (count() - before)
        clock.shift(MINUTE)
    return times


@on_sqlite
def test_a_full_mailbox_is_tried_again_ever_less_often_until_it_expires(
    clock, worker, relay, services
):
    """First after 5 minutes, twice as long each time, at most 3 hours; given up after 48 hours."""
    issue = queue(services)
    relay.always("RCPT", "450 4.2.1 Later")
    start, waits = datetime.now(UTC), []
    worker.drain()
    while (due_at := deliveries(services)[0].due_at) is not None:
        waits.append((due_at - datetime.now(UTC)) / MINUTE)
        clock.move_to(due_at - timedelta(seconds=1))
        worker.drain()
        assert len(tries(relay)) == len(waits)
        clock.move_to(due_at)
        worker.drain()
    for number, wait in enumerate(waits):
        planned = min(5 * 2**number, 180)
        assert 0.8 * planned <= wait <= 1.2 * planned, (number, wait)
    assert len(set(waits[6:])) > 1, "what failed together does not come back together"
    assert len(tries(relay)) == len(waits) + 1
    assert 17 < len(tries(relay)) < 26, "each wait may be a fifth longer or shorter"
    assert datetime.now(UTC) - start < timedelta(hours=48)
    assert books(services, issue) == {"recipients": 1, "expired": 1}
    assert relay.accepted == []


@on_sqlite
@pytest.mark.parametrize(
    ("verb", "reply", "state"),
    [
        ("RCPT", "550 5.1.1 No such user <member0@dpsk12.org>", State.BOUNCED),
        ("RCPT", "550 5.1.10 Null MX", State.BOUNCED),
        ("RCPT", "552 5.2.2 Mailbox full", State.FAILED),
        ("RCPT", "550 5.7.1 Blocked by policy", State.FAILED),
        ("RCPT", "550 whatever", State.FAILED),
        ("DATA", "554 5.6.0 Not this", State.FAILED),
        ("DOT", "552 5.3.4 Too large", State.FAILED),
        ("DOT", "554 5.7.1 Looks like spam", State.FAILED),
        ("DOT", "550 5.1.1 No such user", State.BOUNCED),
        ("RCPT", "450 4.2.2 Full for now", State.DEFERRED),
        ("DATA", "451 4.3.0 Local error", State.DEFERRED),
        ("DOT", "451 4.3.0 Local error", State.DEFERRED),
    ],
)
def test_a_reply_about_one_recipient_is_booked_and_the_rest_goes_on(
    verb, reply, state, worker, relay, services
):
    issue = queue(services, 3)
    relay.script(verb, reply)
    worker.drain()
    assert books(services, issue) == {"recipients": 3, "accepted": 2, state.value: 1}
    [told] = [one for one in deliveries(services) if one.state == state]
    assert told.code == int(reply[:3])
    assert "dpsk12" not in f"{told.enhanced} {told.phrase}"


def test_each_kind_is_tried_for_its_hours_and_a_relay_that_objects_rests_for_its_minutes():
    assert {kind: life / HOUR for kind, life in retry.GIVE_UP_AFTER.items()} == {
        "newsletter": 48, "confirm-subscription": 24, "invited-to-confirm": 24,
        "invited-to-confirm-again": 24, "sign-in": 1, "staff-code": 1,
        "contact-message": 120, "introduce-member": 120, "invitation": 120,
    }  # fmt: skip
    assert retry.life_of("welcome-member") == 48 * HOUR
    assert set(retry.TRANSACTIONAL) == {
        "sign-in", "invitation", "confirm-subscription", "already-member", "my-groups",
        "no-groups", "change-address", "confirm-mailbox", "email-again", "staff-code",
    }  # fmt: skip
    assert {verdict.name: rest / MINUTE for verdict, rest in retry.RELAY_RESTS.items()} == {
        "QUOTA": 60, "CREDENTIALS": 15, "SENDER": 15,
    }  # fmt: skip
    assert retry.MAX_DEATHS == 6


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("4.3.0 Local error", 45), ("4.2.2 Full for now", 300), ("4.7.1 Greylisted, come back", 300)],
)
@pytest.mark.usefixtures("clock")
def test_a_sign_in_email_is_retried_within_a_minute_unless_the_mailbox_is_the_cause(text, seconds):
    sign_in = Delivery(kind="sign-in", attempts=0, created_at=now())
    outcomes.apply_outcome(sign_in, outcomes.outcome_of(Reply(451, text, "RCPT")), None)
    assert sign_in.due_at is not None
    assert 0.8 * seconds <= (sign_in.due_at - now()).total_seconds() <= 1.2 * seconds
    outcomes.apply_outcome(sign_in, outcomes.outcome_after_break("DATA"), None)
    assert 36 <= (sign_in.due_at - now()).total_seconds() <= 54, "a second time"
    sign_in.attempts = outcomes.MAX_ATTEMPTS
    outcomes.apply_outcome(sign_in, outcomes.outcome_after_break("DATA"), None)
    assert sign_in.due_at is not None, "as long as its time lasts"
    for phase in ("RCPT", "DATA", "body", "DOT"):
        assert outcomes.outcome_after_break(phase).state is State.DEFERRED, phase


@on_sqlite
@one_by_day("each reply to each verb", of="verb")
@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize(
    "reply",
    [
        "421 4.3.2 Going down",
        "421 4.7.0 Slow down, member0@dpsk12.org",
        "550 5.4.5 Daily SMTP relay limit exceeded",
        "450 4.2.1 Peak SMTP relay limit exceeded for customer",
    ],
)
def test_a_reply_about_us_costs_no_recipient_an_attempt_or_a_copy(
    verb, reply, clock, worker, relay, services
):
    """One try, then the relay is left alone; no attempt counts, and later all get their copy."""
    issue = queue(services, 3)
    relay.script(verb, reply)
    worker.drain()
    assert len(relay.accepted) == 0
    assert relay.connections == 1
    assert books(services, issue) == {"recipients": 3, "queued": 3}
    assert {one.attempts for one in deliveries(services)} <= {0}
    clock.shift(HOUR + MINUTE)
    worker.drain()
    assert books(services, issue) == {"recipients": 3, "accepted": 3}
    assert len(relay.accepted) == 3


@on_sqlite
def test_the_log_says_once_that_a_relay_takes_email_again(clock, worker, relay, services, caplog):
    caplog.set_level("INFO")
    queue(services, 3)
    relay.script("CONNECT", drop())
    worker.drain()
    assert "takes email again" not in caplog.text
    clock.shift(HOUR)
    worker.drain()
    assert len(relay.accepted) == 3
    assert caplog.text.count("The relay takes email again.") == 1


@on_sqlite
@pytest.mark.timeout(60)
@pytest.mark.parametrize("verb", ["EHLO", "MAIL"])
def test_a_relay_that_ends_each_conversation_early_is_left_alone(
    verb, clock, worker, relay, services
):
    """Three in a row are its fault; the time stands still, and a storm would never end.

    Nobody has been named yet, so nobody has had a try.
    """
    issue = queue(services, 5)
    relay.always(verb, drop())
    worker.drain()
    assert 0 < relay.connections <= 3
    assert books(services, issue) == {"recipients": 5, "queued": 5}


@on_sqlite
@one_by_day("each reply to each verb")
@pytest.mark.parametrize("reply", ["501 5.1.7 Bad sender", "530 5.7.0 Log in first", "500 What?"])
def test_a_relay_that_does_not_like_us_is_asked_again_after_a_quarter_of_an_hour(
    reply, clock, worker, relay, services
):
    issue = queue(services, 3)
    relay.always("MAIL", reply)
    times = times_of(worker, clock, lambda: len(tries(relay)))
    assert times == [0, 15, 30, 45, 60], "after an hour the issue is late, and waits for its lead"
    assert books(services, issue) == {"recipients": 3, "queued": 3}


@on_sqlite
def test_a_relay_that_is_down_is_tried_once_for_all_that_waits(clock, worker, relay, services):
    """One try each minute, for somebody may wait for a link, until the issue is late."""
    issue = queue(services, 250)
    relay.always("CONNECT", drop())
    times = times_of(worker, clock, lambda: relay.connections)
    assert len(times) == len(set(times))
    assert set(range(60)) <= set(times) <= set(range(68))
    assert books(services, issue) == {"recipients": 250, "queued": 250}
    assert worker.waiting() == {}, "what is paused waits for its lead"


@on_sqlite
def test_a_break_after_the_dot_is_uncertain_and_resent_once(clock, worker, relay, services):
    """Each way to break is tried in tests/mail/test_dialogue.py, and in a storm of tests/faults."""
    issue = queue(services, 2)
    relay.script("DOT", drop())
    worker.drain()
    assert books(services, issue) == {"recipients": 2, "accepted": 1, "uncertain": 1}
    assert worker.waiting() == {"uncertain": 1}
    clock.shift(14 * MINUTE)
    worker.drain()
    assert len(relay.accepted) == 2
    clock.shift(2 * MINUTE)
    worker.drain()
    assert len(relay.accepted) == 3
    assert books(services, issue) == {"recipients": 2, "accepted": 2, "resent": 1}


def test_a_copy_that_is_uncertain_twice_is_not_sent_a_third_time(clock, worker, relay, services):
    issue = queue(services)
    relay.script("DOT", drop(), drop())
    for _ in range(30):
        worker.drain()
        clock.shift(HOUR)
    assert len(relay.accepted) == 2
    assert books(services, issue) == {"recipients": 1, "uncertain": 1, "resent": 1}
    assert worker.waiting() == {}


@on_sqlite
def test_a_second_copy_that_is_refused_is_not_counted_as_one(clock, worker, relay, services):
    issue = queue(services)
    relay.script("DOT", drop(), "451 4.3.0 Later", "550 5.7.1 No")
    for _ in range(4):
        worker.drain()
        clock.shift(HOUR)
    assert books(services, issue) == {"recipients": 1, "failed": 1}


@on_sqlite
@pytest.mark.parametrize(
    ("settings", "copies"), [({"BELONG_UNCERTAIN": "0"}, 2), ({"BELONG_UNCERTAIN": "hold"}, 1)]
)
def test_the_setting_says_what_becomes_of_uncertain_issues(copies, clock, worker, relay, services):
    issue = queue(services)
    relay.script("DOT", drop())
    worker.drain()
    assert len(relay.accepted) == copies
    clock.shift(timedelta(days=30))
    worker.drain()
    assert len(relay.accepted) == copies
    resent = {"accepted": 1, "resent": 1} if copies == 2 else {"uncertain": 1}
    assert books(services, issue) == {"recipients": 1, **resent}


@on_sqlite
def test_other_mail_that_is_uncertain_is_sent_again_at_once(worker, relay, services, keyring):
    """A second welcome hurts nobody; an issue waits for its setting."""
    with services.writing.begin() as session:
        member = make_member(session, keyring, "new@dpsk12.org")
        outbox.post(session, "welcome-member", subscription_id=member.id)
    relay.script("DOT", drop())
    worker.drain()
    assert [one.recipient for one in relay.accepted] == ["new@dpsk12.org"] * 2
