"""How many connections there are: more while all goes well, fewer when the relay objects."""

from copy import copy
from functools import partial
from pathlib import Path

from belong_mail.mail.feed import Parcel
from belong_mail.mail.message import Envelope
from belong_mail.mail.outcomes import Reply
from belong_mail.sending.journal import Journal
from belong_mail.sending.outcomes import GIVE_BACK
from belong_mail.sending.pace import Flow
from belong_mail.sending.parcels import Parcels
from belong_mail.sending.writing import Sheet


def test_there_is_one_more_connection_for_each_success_until_there_are_enough() -> None:
    flow, allowed = Flow(4), []
    for _ in range(6):
        allowed.append(flow.allowed)
        flow.went_well()
    assert allowed == [1, 2, 3, 4, 4, 4]


def test_trouble_after_successes_halves_them_and_they_come_back_slowly() -> None:
    flow = Flow(8)
    for _ in range(20):
        flow.went_well()
    assert not flow.must_rest()
    assert flow.allowed == 4
    for _ in range(49):
        flow.went_well()
    assert flow.allowed == 4
    flow.went_well()
    assert flow.allowed == 5


def test_trouble_with_nothing_that_went_well_before_is_a_reason_to_rest() -> None:
    flow = Flow(8)
    assert flow.must_rest()
    assert flow.allowed == 1


def test_what_was_claimed_while_the_relay_objected_is_given_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    parcels = Parcels(journal, Flow(2))
    envelopes = [Envelope(f"b{n}@example.org", "ada@dpsk12.org", b"a\r\n") for n in (1, 2)]
    first, second = (Sheet(n, partial(copy, one), 0, 1e12) for n, one in enumerate(envelopes, 1))
    parcels.put([first])
    taken = parcels.take(0)
    assert taken == Parcel(1, envelopes[0])
    assert not parcels.answered(taken, Reply(421, "4.7.0 Slow down", "RCPT"))
    parcels.put([second])
    assert parcels.take(0) is None
    assert parcels.results()[-1] == (2, GIVE_BACK)
    journal.end()
