"""Poison: the issue goes on where it was."""

import pytest
from sqlalchemy import select

from belong_mail.delivery.models import Delivery
from belong_mail.delivery.retry import MAX_DEATHS
from tests.markers import on_sqlite

PATIENCE = pytest.mark.parametrize("patience", ["connections=1&timeout=20&dot_timeout=20"])
MEMBERS = 12


@on_sqlite
@PATIENCE
def test_a_recipient_at_whom_every_worker_dies_is_put_aside_and_the_rest_goes_on(scene):
    issue = scene.queue(MEMBERS)
    for _ in range(MAX_DEATHS):
        scene.kill_worker("RCPT member3@dpsk12.org", 1, "--drain")
    with scene.services.reading.begin() as session:
        suspects = session.scalars(select(Delivery.deaths).where(Delivery.deaths > 0)).all()
    assert sorted(suspects) == [MAX_DEATHS - 1], "who only waited is not suspected"
    scene.drain()
    books = scene.books(issue)
    assert (books["accepted"], books["failed"]) == (MEMBERS - 1, 1)


@on_sqlite
@PATIENCE
def test_nobody_is_put_aside_for_deaths_before_their_mail_was_begun(scene):
    """As when a machine is short of memory whenever a connection opens."""
    issue = scene.queue(1)
    for _ in range(MAX_DEATHS):
        assert scene.kill_worker("EHLO", 1, "--drain") == -9
    scene.drain()
    assert scene.filled(issue) == {"recipients": 1, "accepted": 1}
