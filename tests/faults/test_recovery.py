"""Greylists, poison and passwords: the issue goes on where it was."""

import signal
import threading

import pytest
from sqlalchemy import select

from belong_mail.delivery.models import Delivery
from belong_mail.delivery.retry import MAX_DEATHS
from tests.faults.assassin import Assassin
from tests.markers import on_sqlite
from tests.processes import SECONDS

PATIENCE = pytest.mark.parametrize("patience", ["connections=1&timeout=20&dot_timeout=20"])
MEMBERS = 12


def test_greylisted_members_get_one_copy_each_at_the_second_or_third_try(scene):
    """Also where every recipient is greylisted, twice."""
    issue = scene.queue(MEMBERS)
    for number in range(MEMBERS):
        later = "451 4.7.1 Greylisted, please try again in 300 seconds"
        scene.relay.script(f"RCPT member{number}@dpsk12.org", later, later)
    for tries in (1, 2):
        scene.drain()
        assert scene.filled(issue) == {"recipients": MEMBERS, "deferred": MEMBERS}, tries
        scene.drain()
        assert len(scene.relay.refused) == tries * MEMBERS, "nobody is tried again before the time"
        scene.pass_time()
    scene.drain()
    assert scene.complaints(issue) == []
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS}


@on_sqlite
@pytest.mark.parametrize("is_secure", [True])
def test_a_changed_password_is_tried_once_and_not_again_by_a_running_worker(scene):
    """No storm of retries that locks the account; with the right one it goes on."""
    issue = scene.queue(30)
    scene.relay.script("AUTH", "535 5.7.8 Username and Password not accepted")
    refused = threading.Event()
    scene.relay.on("after AUTH", lambda _: refused.set())
    with scene.worker() as worker:
        assert refused.wait(SECONDS)
        threading.Event().wait(3)
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
    assert scene.relay.connections == 1
    assert scene.filled(issue) == {"recipients": 30, "queued": 30}
    scene.pass_time()
    scene.finish()
    assert scene.complaints(issue) == []


@on_sqlite
@PATIENCE
def test_a_recipient_at_whom_every_worker_dies_is_put_aside_and_the_rest_goes_on(scene):
    issue = scene.queue(MEMBERS)
    for _ in range(MAX_DEATHS):
        assassin = Assassin()
        scene.relay.on("RCPT member3@dpsk12.org", assassin)
        with scene.worker("--drain") as worker:
            assassin.aim(worker)
            worker.wait()
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
        assassin = Assassin()
        scene.relay.on("EHLO", assassin)
        with scene.worker("--drain") as worker:
            assassin.aim(worker)
            assert worker.wait() == -9
    scene.relay.usual()
    scene.drain()
    assert scene.filled(issue) == {"recipients": 1, "accepted": 1}
