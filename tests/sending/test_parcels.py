"""When the database's thread is woken: for a chunk's worth of results, and for nothing less."""

import time
from pathlib import Path

import pytest

from belong_mail.mail.feed import WELCOME, Parcel
from belong_mail.mail.message import Envelope
from belong_mail.sending.journal import Journal
from belong_mail.sending.pace import CHUNK, WINDOW, Flow
from belong_mail.sending.parcels import Parcels

LONG = 1.0
"""Seconds; far more than it takes to be woken by what has happened already."""


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
    parcels.put(Parcel(number, letter, made_at=float("inf")) for number in ids)


def accept(parcels: Parcels, number: int) -> None:
    for _ in range(number):
        parcel = parcels.take(0)
        assert parcel is not None
        parcels.answered(parcel, WELCOME)


def is_woken(parcels: Parcels) -> bool:
    began = time.monotonic()
    parcels.wait(LONG)
    return time.monotonic() - began < LONG


def test_results_that_make_room_for_a_chunk_wake_once(parcels: Parcels) -> None:
    accept(parcels, CHUNK - 1)
    assert not is_woken(parcels)
    accept(parcels, 1)
    assert is_woken(parcels)
    accept(parcels, 1)
    assert not is_woken(parcels)
    accept(parcels, WINDOW - CHUNK - 1)
    assert is_woken(parcels), "nothing is left to wait for"


def test_news_from_before_a_claim_is_stale(parcels: Parcels) -> None:
    accept(parcels, WINDOW)
    parcels.results()
    parcels.written()
    fill(parcels, range(WINDOW, 2 * WINDOW))
    assert not is_woken(parcels)


def test_a_connection_that_finds_nothing_wakes_nobody(parcels: Parcels) -> None:
    parcels.hold([WINDOW])
    for _ in range(WINDOW):
        assert parcels.take(0)
    assert parcels.take(0) is None
    assert not is_woken(parcels)
