"""How many connections there are: more while all goes well, fewer when the relay objects."""

from copy import copy
from functools import partial
from pathlib import Path

from belong_mail.delivery.dispatcher import Dispatcher, PendingMessage
from belong_mail.delivery.journal import Journal
from belong_mail.delivery.outcomes import GIVE_BACK
from belong_mail.delivery.throttle import ConcurrencyLimit
from belong_mail.mail.message.mime import Envelope
from belong_mail.mail.smtp.protocol import OutgoingMessage
from belong_mail.mail.smtp.replies import Reply


def test_there_is_one_more_connection_for_each_success_until_there_are_enough() -> None:
    flow, allowed = ConcurrencyLimit(4), []
    for _ in range(6):
        allowed.append(flow.allowed)
        flow.record_success()
    assert allowed == [1, 2, 3, 4, 4, 4]


def test_trouble_after_successes_halves_them_and_they_come_back_slowly() -> None:
    limit = ConcurrencyLimit(8)
    for _ in range(20):
        limit.record_success()
    assert not limit.must_rest()
    assert limit.allowed == 4
    for _ in range(49):
        limit.record_success()
    assert limit.allowed == 4
    limit.record_success()
    assert limit.allowed == 5


def test_trouble_with_nothing_that_went_well_before_is_a_reason_to_rest() -> None:
    limit = ConcurrencyLimit(8)
    assert limit.must_rest()
    assert limit.allowed == 1


def test_what_was_claimed_while_the_relay_objected_is_given_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    dispatcher = Dispatcher(journal, ConcurrencyLimit(2))
    envelopes = [Envelope(f"b{n}@example.org", "ada@dpsk12.org", b"a\r\n") for n in (1, 2)]
    first, second = (
        PendingMessage(n, partial(copy, one), 0, 1e12) for n, one in enumerate(envelopes, 1)
    )
    dispatcher.put([first])
    taken = dispatcher.next_message(0)
    assert taken == OutgoingMessage(1, envelopes[0])
    assert not dispatcher.record_reply(taken, Reply(421, "4.7.0 Slow down", "RCPT"))
    dispatcher.put([second])
    assert dispatcher.next_message(0) is None
    assert dispatcher.results()[-1] == (2, GIVE_BACK)
    journal.end()
