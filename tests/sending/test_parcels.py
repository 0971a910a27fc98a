"""When it is time for a transaction: after a chunk's worth of results, and after nothing less."""

from pathlib import Path

import pytest

from belong_mail.mail.feed import WELCOME
from belong_mail.mail.message import Envelope
from belong_mail.sending.journal import Journal
from belong_mail.sending.pace import CHUNK, WINDOW, Flow
from belong_mail.sending.parcels import Parcels
from belong_mail.sending.writing import Sheet


@pytest.fixture
def parcels(tmp_path: Path) -> Parcels:
    """A full window, waiting to be taken."""
    parcels = Parcels(Journal(tmp_path / "worker.journal"), Flow(5))
    fill(parcels, range(WINDOW))
    return parcels


def fill(parcels: Parcels, ids: range) -> None:
    """Claim some that never grow stale."""
    parcels.hold(ids)
    letter = Envelope("", "", b"")
    parcels.put(Sheet(number, lambda: letter, made_at=float("inf")) for number in ids)


def accept(parcels: Parcels, number: int) -> None:
    for _ in range(number):
        parcel = parcels.take(0)
        assert parcel is not None
        parcels.answered(parcel, WELCOME)


def test_results_that_make_room_for_a_chunk_are_news_once(parcels: Parcels) -> None:
    accept(parcels, CHUNK - 1)
    assert not parcels.take_news()
    accept(parcels, 1)
    assert parcels.take_news()
    accept(parcels, 1)
    assert not parcels.take_news()
    accept(parcels, WINDOW - CHUNK - 1)
    assert parcels.take_news(), "nothing is left to wait for"


def test_news_from_before_a_claim_is_stale(parcels: Parcels) -> None:
    accept(parcels, WINDOW)
    parcels.results()
    parcels.written()
    fill(parcels, range(WINDOW, 2 * WINDOW))
    assert not parcels.take_news()


def test_a_connection_that_finds_nothing_is_no_news(parcels: Parcels) -> None:
    parcels.hold([WINDOW])
    for _ in range(WINDOW):
        assert parcels.take(0)
    assert parcels.take(0) is None
    assert not parcels.take_news()
