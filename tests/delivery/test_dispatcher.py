"""How much is in hand and over how many connections, and when it is time for a transaction."""

import time

import pytest

from belong_mail.delivery.dispatcher import (
    REFILL_SHARE,
    STALE_SECONDS,
    Dispatcher,
    PendingMessage,
    compose_message,
)
from belong_mail.delivery.journal import Journal
from belong_mail.delivery.models import State
from belong_mail.delivery.outcomes import GIVE_BACK, STALE, TOO_SLOW, UNWRITABLE
from belong_mail.delivery.throttle import MAX_IN_HAND, ConcurrencyLimit
from belong_mail.mail.message.mime import Copy
from belong_mail.mail.smtp.protocol import WELCOME
from belong_mail.mail.smtp.replies import Reply
from tests.letters import letter

LETTER = letter()
HOUR = 3600.0


@pytest.fixture
def dispatcher(tmp_path) -> Dispatcher:
    return Dispatcher(Journal(tmp_path / "worker.journal"), ConcurrencyLimit(5))


def claim(dispatcher, too_late: int = 0, first: int = 0) -> None:
    """Claim as many as may be in hand just now, for an hour, but for the last, which grew stale."""
    ids, at = range(first, first + dispatcher.most), time.monotonic() + HOUR
    dispatcher.hold(ids)
    late = ids.stop - too_late
    dispatcher.put(
        PendingMessage(number, lambda: LETTER, made_at=at - (number >= late) * 2 * HOUR)
        for number in ids
    )


def send(dispatcher, number: int) -> None:
    for _ in range(number):
        outgoing = dispatcher.next_message()
        dispatcher.record_reply(outgoing, WELCOME)


def settle(dispatcher) -> None:
    dispatcher.results()
    dispatcher.written()


def test_each_success_allows_one_more_connection_and_trouble_halves_them():
    """Trouble with nothing that went well before is a reason to rest."""
    limit, allowed = ConcurrencyLimit(8), []
    for _ in range(20):
        allowed.append(limit.allowed)
        limit.record_success()
    assert allowed == [1, 2, 3, 4, 5, 6, 7, *[8] * 13]
    assert not limit.must_rest()
    for _ in range(50):
        assert limit.allowed == 4, "they come back slowly"
        limit.record_success()
    assert limit.allowed == 5
    assert [limit.record_break() for _ in range(3)] == [False, False, True], "three in a row"
    limit.record_success()
    assert not limit.record_break()
    fresh = ConcurrencyLimit(8)
    fresh.allowed = 8
    assert fresh.must_rest()
    assert fresh.allowed == 1


def test_a_message_claimed_while_the_relay_objects_is_given_back(dispatcher):
    dispatcher.put([PendingMessage(1, lambda: LETTER, made_at=float("inf"))])
    taken = dispatcher.next_message()
    assert not dispatcher.record_reply(taken, Reply(421, "4.7.0 Slow down", "RCPT"))
    dispatcher.put([PendingMessage(2, lambda: LETTER, made_at=float("inf"))])
    assert dispatcher.next_message() is None
    assert dispatcher.results()[-1] == (2, GIVE_BACK)


@pytest.mark.parametrize(
    ("text", "state"),
    [("4.7.0 Slow down", State.DEFERRED), ("4.4.5 Daily limit exceeded", None)],
)
def test_a_second_reply_about_us_counts_for_its_recipient_unless_it_names_a_limit(
    text, state, dispatcher
):
    dispatcher.put([PendingMessage(1, lambda: LETTER, made_at=float("inf"))])
    taken = dispatcher.next_message()
    for _ in range(2):
        dispatcher.record_reply(taken, Reply(421, text, "RCPT"))
    _, outcome = dispatcher.results()[-1]
    assert outcome.state is state


def test_a_message_that_no_conversation_can_carry_fails(dispatcher):
    claim(dispatcher)
    outgoing = dispatcher.next_message()
    dispatcher.fail_unrenderable(outgoing)
    assert dispatcher.results() == [(outgoing.id, UNWRITABLE)]


def test_results_that_free_much_room_cause_one_wakeup(dispatcher):
    claim(dispatcher)
    room = int(MAX_IN_HAND * REFILL_SHARE)
    send(dispatcher, room - 1)
    assert not dispatcher.pop_wakeup()
    send(dispatcher, 1)
    assert dispatcher.pop_wakeup()
    send(dispatcher, 1)
    assert not dispatcher.pop_wakeup()
    send(dispatcher, MAX_IN_HAND - room - 1)
    assert dispatcher.pop_wakeup(), "nothing is left to wait for"


def test_a_claim_drops_a_wakeup_from_before_it(dispatcher):
    claim(dispatcher)
    send(dispatcher, MAX_IN_HAND)
    settle(dispatcher)
    claim(dispatcher, first=MAX_IN_HAND)
    assert not dispatcher.pop_wakeup()


def test_a_connection_that_finds_no_message_causes_no_wakeup(dispatcher):
    claim(dispatcher)
    dispatcher.hold([MAX_IN_HAND])
    for _ in range(MAX_IN_HAND):
        assert dispatcher.next_message()
    assert dispatcher.next_message() is None
    assert not dispatcher.pop_wakeup()


def test_no_more_is_claimed_than_left_in_time(dispatcher):
    claim(dispatcher, too_late=70)
    send(dispatcher, 30)
    assert dispatcher.next_message() is None
    results = dispatcher.results()
    assert [outcome for _, outcome in results].count(STALE) == 70
    settle(dispatcher)
    assert dispatcher.most == 30


def test_more_is_claimed_again_while_all_leaves_in_time(dispatcher):
    dispatcher.most, before = 10, 10
    while dispatcher.most < MAX_IN_HAND:
        claim(dispatcher)
        send(dispatcher, dispatcher.most)
        settle(dispatcher)
        assert before < dispatcher.most <= 1.25 * before + 1
        before = dispatcher.most
    settle(dispatcher)
    assert dispatcher.most == MAX_IN_HAND


def test_the_dispatcher_knows_whether_its_messages_grow_stale_within_a_given_time(dispatcher):
    assert not dispatcher.grows_stale_within(60)
    claim(dispatcher)
    assert dispatcher.grows_stale_within(HOUR + STALE_SECONDS + 0.1)
    assert not dispatcher.grows_stale_within(HOUR)


def test_a_message_waits_where_a_library_does_not_load():
    def write() -> Copy:
        raise ImportError

    assert compose_message(PendingMessage(1, write)) == TOO_SLOW
