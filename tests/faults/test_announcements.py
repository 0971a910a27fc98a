"""No announcement of a relay before the first MAIL starts a storm of connections."""

import threading
import time
from functools import partial

import pytest

from belong_mail.worker.loop import make_worker
from tests.at_once import at_once
from tests.faults.conftest import Scenes
from tests.faults.scene import Scene
from tests.markers import night, on_sqlite, one_by_day
from tests.processes import SECONDS
from tests.servers.actions import Action, Conversation, Over, Say, drop
from tests.servers.manners import EXTENSIONS

MEMBERS = 5
# Seconds in which a relay that cannot be used is watched.
WHILE = 3.0
# So many in a row are its fault.
BREAKS = 3
OFFERS = b"250-relay.example.org\r\n250 PIPELINING\r\n"


def announce(line: bytes) -> Action:
    """Answer EHLO with one line more, in these very octets."""

    def act(conversation: Conversation) -> None:
        conversation.write(b"250-relay.example.org\r\n250-PIPELINING\r\n250 " + line + b"\r\n")

    return act


def part(data: bytes) -> Action:
    """Write this, and hang up."""

    def act(conversation: Conversation) -> None:
        conversation.write(data)
        raise Over

    return act


EARLY: dict[str, tuple[str, Action]] = {
    "refuses at once": ("CONNECT", Say("421 4.3.2 Not now")),
    "hangs up at once": ("CONNECT", drop()),
    "hangs up after its greeting": ("CONNECT", part(b"220 relay.example.org\r\n")),
    "hangs up after its offers": ("EHLO", part(OFFERS)),
    "refuses after its offers": ("EHLO", part(OFFERS + b"421 4.3.2 Not now\r\n")),
    "hangs up at MAIL": ("MAIL", drop()),
    "refuses MAIL": ("MAIL", Say("421 4.3.2 Not now")),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("extensions", [(*EXTENSIONS, "LIMITS MAILMAX=0")])
def test_a_limit_of_nothing_is_no_limit(scene: Scene) -> None:
    """RFC 9422, 4.1: there is no such number. Believing it would open connections without end."""
    issue = scene.queue(MEMBERS)
    scene.drain()
    assert scene.complaints(issue) == []
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS}
    assert scene.relay.connections <= MEMBERS


@one_by_day("faults")
@on_sqlite
@pytest.mark.parametrize(
    "line",
    [
        b"SIZE " + b"9" * 1_900,
        b"SIZE \xb2",
        b"SIZE -1",
        b"SIZE 0",
        b"SIZE",
        b"LIMITS MAILMAX=00",
        b"LIMITS MAILMAX=-1",
        b"LIMITS MAILMAX=9999999999",
        b"LIMITS MAILMAX=\xb2 RCPTMAX=0",
        b"LIMITS XMAILMAX=1",
    ],
    ids=lambda line: repr(line[:30]),
)
def test_an_announcement_without_sense_keeps_no_mail_back(line: bytes, scene: Scene) -> None:
    issue = scene.queue(MEMBERS)
    scene.relay.always("EHLO", announce(line))
    scene.drain()
    assert scene.complaints(issue) == []
    assert scene.filled(issue) == {"recipients": MEMBERS, "accepted": MEMBERS}
    assert scene.relay.connections <= MEMBERS


def check_left_alone(scene: Scene, verb: str, action: Action) -> None:
    issue = scene.queue(MEMBERS)
    scene.relay.always(verb, action)
    worker = make_worker(scene.services, scene.keyring)
    running = threading.Thread(target=worker.run)
    running.start()
    time.sleep(WHILE)
    worker.engine.stop()
    running.join(SECONDS)
    assert 0 < scene.relay.connections <= BREAKS
    assert scene.filled(issue) == {"recipients": MEMBERS, "queued": MEMBERS}


@night("faults")
def test_a_relay_that_ends_conversations_early_is_left_alone(scenes: Scenes) -> None:
    """In each way; all at once, for each worker is watched for seconds."""

    def attempt(way: str) -> None:
        with scenes.make(way, "timeout=20&dot_timeout=20") as scene:
            check_left_alone(scene, *EARLY[way])

    at_once({way: partial(attempt, way) for way in EARLY})
