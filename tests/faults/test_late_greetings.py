"""Relays that take long before the first MAIL: what was decided meanwhile holds."""

import threading
import time
from collections.abc import Callable

import pytest
from sqlalchemy import select

from belong_mail.members import service as members
from belong_mail.members.models import Subscription
from belong_mail.newsletters import release
from belong_mail.newsletters import service as newsletters
from tests.markers import in_turn, one_by_day
from tests.processes import SECONDS
from tests.servers.actions import Conversation

PATIENCE = pytest.mark.parametrize("patience", ["connections=1&timeout=20&dot_timeout=20"])
# Seconds within which a pause, a stop or a leave acts.
AT_ONCE = 2.0
MARGIN = 0.5


class Late:
    """An action and a hook: the first answer comes once `go_on` is set."""

    def __init__(self) -> None:
        self.is_waited_for, self.go_on = threading.Event(), threading.Event()

    def __call__(self, moment: Conversation | str) -> None:
        self.is_waited_for.set()
        self.go_on.wait(SECONDS)
        if not isinstance(moment, str):
            moment.say("220 relay.example.org, late")


def decide(services, issue: str, what: str) -> None:
    with services.writing.begin() as session:
        if what == "stay":
            return
        if what == "leave":
            for member in session.scalars(select(Subscription)):
                members.leave(session, member.public_id)
            return
        found = newsletters.find(session, issue)
        assert found is not None
        release.act(session, found, getattr(release, what))


def drain_while_late(scene, verb: str, meanwhile: Callable[[], None]) -> None:
    """Let a worker wait for the relay's first answer to a verb for longer than things are true."""
    late = Late()
    if verb == "CONNECT":
        scene.relay.script(verb, late)
    else:
        scene.relay.on(verb, late)
    worker = threading.Thread(target=scene.drain)
    worker.start()
    assert late.is_waited_for.wait(SECONDS)
    meanwhile()
    time.sleep(AT_ONCE + MARGIN)
    late.go_on.set()
    worker.join(SECONDS)
    assert not worker.is_alive()


@one_by_day("faults", of="what")
@PATIENCE
@pytest.mark.parametrize("is_secure", [True])
@pytest.mark.parametrize(
    ("what", "verb", "database_url"),
    in_turn(["leave", "pause", "stop", "stay"], ["CONNECT", "AUTH"], ["sqlite", "postgresql"]),
    indirect=["database_url"],
)
def test_a_leave_pause_or_stop_counts_while_a_relay_takes_long_to_open(what, verb, scene):
    """Who stays gets a copy over the connection that took long."""
    issue = scene.queue(3)
    drain_while_late(scene, verb, lambda: decide(scene.services, issue, what))
    state = {"pause": "queued", "stay": "accepted"}.get(what, "withdrawn")
    assert scene.filled(issue) == {"recipients": 3, state: 3}
    if what == "stay":
        assert scene.complaints(issue) == []
        assert scene.relay.connections == 1
    else:
        assert scene.copies() == []
        assert [one for one in scene.relay.commands if one.startswith("MAIL")] == []
