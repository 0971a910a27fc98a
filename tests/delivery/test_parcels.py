"""When it is time for a transaction: after a chunk's worth of results, and after nothing less."""

from pathlib import Path

import pytest

from belong_mail.delivery.dispatcher import Dispatcher, PendingMessage
from belong_mail.delivery.journal import Journal
from belong_mail.delivery.throttle import CHUNK_MEMBERS, MAX_IN_HAND, ConcurrencyLimit
from belong_mail.mail.message.mime import Envelope
from belong_mail.mail.smtp.protocol import WELCOME


@pytest.fixture
def dispatcher(tmp_path: Path) -> Dispatcher:
    """A full window, waiting to be taken."""
    dispatcher = Dispatcher(Journal(tmp_path / "worker.journal"), ConcurrencyLimit(5))
    fill(dispatcher, range(MAX_IN_HAND))
    return dispatcher


def fill(dispatcher: Dispatcher, ids: range) -> None:
    """Claim some that never grow stale."""
    dispatcher.hold(ids)
    letter = Envelope("", "", b"")
    dispatcher.put(PendingMessage(number, lambda: letter, made_at=float("inf")) for number in ids)


def accept(dispatcher: Dispatcher, number: int) -> None:
    for _ in range(number):
        outgoing = dispatcher.next_message(0)
        assert outgoing is not None
        dispatcher.record_reply(outgoing, WELCOME)


def test_results_that_make_room_for_a_chunk_are_news_once(dispatcher: Dispatcher) -> None:
    accept(dispatcher, CHUNK_MEMBERS - 1)
    assert not dispatcher.pop_wakeup()
    accept(dispatcher, 1)
    assert dispatcher.pop_wakeup()
    accept(dispatcher, 1)
    assert not dispatcher.pop_wakeup()
    accept(dispatcher, MAX_IN_HAND - CHUNK_MEMBERS - 1)
    assert dispatcher.pop_wakeup(), "nothing is left to wait for"


def test_news_from_before_a_claim_is_stale(dispatcher: Dispatcher) -> None:
    accept(dispatcher, MAX_IN_HAND)
    dispatcher.results()
    dispatcher.written()
    fill(dispatcher, range(MAX_IN_HAND, 2 * MAX_IN_HAND))
    assert not dispatcher.pop_wakeup()


def test_a_connection_that_finds_nothing_is_no_news(dispatcher: Dispatcher) -> None:
    dispatcher.hold([MAX_IN_HAND])
    for _ in range(MAX_IN_HAND):
        assert dispatcher.next_message(0)
    assert dispatcher.next_message(0) is None
    assert not dispatcher.pop_wakeup()
