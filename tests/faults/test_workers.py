"""Several workers, and workers that come and go."""

import random
import signal
import time
from datetime import timedelta

import pytest
from sqlalchemy import select

from belong_mail.core.db import now
from belong_mail.delivery.models import Lease
from tests.database import query
from tests.inbound.mail import bounce, hand_back
from tests.markers import night, on_both, on_sqlite
from tests.processes import SECONDS
from tests.servers.smtp import hang
from tests.waiting import wait_until


@on_both("claims and leases")
def test_copies_that_a_lost_host_held_are_taken_over_after_a_minute(scene):
    """It was killed, and its folder is gone with it; only its lease tells the others.

    The other has looked for lost hosts before it claims, which its own lease shows.
    """

    def leases() -> int:
        return len(query(scene.services, select(Lease)))

    issue = scene.queue(30)
    scene.kill_worker("DATA", 5, "--drain")
    elsewhere = scene.on_another_host()
    elsewhere.finish()
    assert scene.books(issue)["sending"] > 0
    with elsewhere.worker() as worker:
        wait_until(lambda: leases() == 2, worker.said)
        with scene.services.writing.begin() as session:
            for lease in session.scalars(select(Lease)):
                assert lease.until <= now() + timedelta(minutes=1)
                lease.until -= timedelta(minutes=1)
        wait_until(lambda: not scene.books(issue)["sending"], worker.said)
        worker.send_signal(signal.SIGTERM)
        worker.wait()
    elsewhere.finish()
    books = scene.filled(issue)
    assert (books["recipients"], books["accepted"]) == (30, 30)
    assert scene.complaints(issue, breaks=books["resent"]) == []


@night("faults")
@on_sqlite
@pytest.mark.parametrize("patience", ["connections=2&timeout=120&dot_timeout=120"])
def test_a_worker_stopped_while_the_relay_hangs_before_the_dot_leaves_no_uncertain_copy(scene):
    """Within half a minute, in the middle of an envelope and before a greeting."""
    issue = scene.queue(12)
    scene.relay.script("CONNECT", None)
    scene.relay.always("CONNECT", hang(SECONDS))
    scene.relay.script("RCPT", None, None, hang(SECONDS))
    with scene.worker() as worker:
        scene.relay.wait_for(2, SECONDS)
        time.sleep(1)
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait() == 0
        assert time.monotonic() - began < 30
    books = scene.books(issue)
    assert (books["accepted"], books["uncertain"], books["sending"]) == (2, 0, 0)
    scene.relay.usual()
    assert scene.finish() == "Nothing is waiting."
    assert scene.complaints(issue) == []


@on_both("locks")
def test_workers_killed_while_they_read_what_came_back_count_it_once(scene):
    issue = scene.queue(200)
    scene.finish()
    sent_back = random.sample(scene.copies(), 150)
    for copy in sent_back:
        hand_back(scene.services, copy.return_path, bounce(copy.return_path, copy.recipient))
    with scene.watched(issue) as wrong:
        for _ in range(6):
            with scene.worker() as worker:
                time.sleep(random.uniform(0.3, 0.9))
                worker.kill()
                worker.wait()
        scene.finish()
    assert wrong == []
    assert scene.filled(issue) == {"recipients": 200, "accepted": 50, "bounced": 150}
    assert scene.complaints(issue) == []
