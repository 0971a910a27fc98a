"""Email that the relay took and then sends back: the books say so, whatever dies in between."""

import random
import time

import pytest

from tests.bounces.mail import FULL, SPAM, UNKNOWN, bounce, hand_back
from tests.faults.scene import Scene
from tests.markers import on_both, on_sqlite, one_by_day
from tests.processes import feed
from tests.servers.actions import drop
from tests.servers.ledger import Copy

MEMBERS = 5
UNLUCKY = "member2@dpsk12.org"


def send_back(scene: Scene, copy: Copy, why: tuple[str, str] = UNKNOWN) -> None:
    """Pipe the report about a copy into our command, as a mail server does."""
    message = bounce(copy.return_path, copy.recipient, why)
    done = feed(scene.settings, message, "inbound", copy.return_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@one_by_day("faults")
@pytest.mark.parametrize("why", [UNKNOWN, FULL, SPAM])
def test_what_was_accepted_and_is_sent_back_has_bounced(why: tuple[str, str], scene: Scene) -> None:
    issue = scene.queue(MEMBERS)
    scene.finish()
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS}
    [unlucky] = [copy for copy in scene.copies() if copy.recipient == UNLUCKY]
    for _ in range(2):
        send_back(scene, unlucky, why)
        assert scene.finish() == "Nothing is waiting."
        assert scene.filled(issue) == {
            "recipients": MEMBERS,
            "accepted": MEMBERS - 1,
            "bounced": 1,
        }
    scene.queue_again(MEMBERS)
    scene.finish()
    assert len([copy for copy in scene.copies() if copy.recipient == UNLUCKY]) == 2
    assert scene.relay.faults == []


@on_sqlite
@pytest.mark.parametrize("settings", [{"BELONG_UNCERTAIN": "15m"}])
def test_a_copy_whose_answer_was_lost_and_that_is_sent_back_is_not_sent_again(
    scene: Scene,
) -> None:
    issue = scene.queue(MEMBERS)
    scene.relay.script(f"DOT {UNLUCKY}", drop())
    scene.finish()
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS - 1, "uncertain": 1}
    [unlucky] = [copy for copy in scene.copies() if copy.recipient == UNLUCKY]
    send_back(scene, unlucky)
    scene.pass_time()
    assert scene.finish() == "Nothing is waiting."
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS - 1, "bounced": 1}
    assert scene.complaints(issue, breaks=1) == []


@on_both("locks")
def test_workers_killed_while_they_read_what_came_back_count_it_once(scene: Scene) -> None:
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
