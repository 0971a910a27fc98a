"""Look at a site as the table of checks does."""

from belong_mail.core.db import now
from belong_mail.monitoring import checks
from belong_mail.monitoring.measures import Site
from tests.processes import run


def wrong_names(services) -> list[str]:
    with services.reading.begin() as session:
        return [check.name for check in checks.wrong(Site(session, services.settings, now()))]


def read(lines: str) -> dict[str, str]:
    """Read what /metrics says: a series each, without its prefix, and its value."""
    said = [line.removeprefix("belong_") for line in lines.splitlines() if line[0] != "#"]
    return dict(line.rsplit(" ", 1) for line in said)


def figures(services) -> dict[str, str]:
    with services.reading.begin() as session:
        return read(checks.exposition(Site(session, services.settings, now())))


def doctor(settings: dict[str, str], *options: str) -> tuple[int, list[str], list[str]]:
    """Ask the doctor; return the exit code, what is well, and what is wrong."""
    ended = run({"PGOPTIONS": "-c synchronous_commit=on", **settings}, "doctor", *options)
    assert "Traceback" not in ended.stderr
    lines = [line.partition("\t") for line in ended.stdout.splitlines()]
    well = [words for mark, _, words in lines if mark == "ok"]
    return ended.returncode, well, [words for mark, _, words in lines if mark == "WRONG"]
