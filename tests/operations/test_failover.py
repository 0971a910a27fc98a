"""A standby that takes over some seconds behind: what it lacks does not leave again unasked."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, update

from belong_mail.core.db import now
from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from belong_mail.ops.hold import Host
from tests.delivery.factories import books, queue
from tests.operations.test_database_troubles import end, is_said, on_postgresql, wait_until
from tests.operations.troubles import cut, go_back, keep
from tests.processes import SECONDS, run, running
from tests.servers.smtp import Server

pytestmark = on_postgresql

Settings = dict[str, str]
MANY = 400
BEHIND = "Sending is on hold: the database lacks transactions"


@pytest.fixture
def issue(environment: Settings, services: Services, keyring: Keyring, relay: Server) -> int:
    """Return an issue that takes some seconds to leave; this host is known to the database."""
    assert run(environment, "worker", "--drain").returncode == 0
    relay.delay = 0.02
    return queue(services, keyring, MANY)


@pytest.fixture
def other(environment: Settings, services: Services, tmp_path: Path) -> Settings:
    """The settings of another host that is known to the database, and has worked lately."""
    other = {**environment, "BELONG_STATE_FOLDER": str(tmp_path / "other-host")}
    assert services
    assert run(environment, "worker", "--drain").returncode == 0
    assert run(other, "hold", "release").returncode == 0
    assert run(other, "worker", "--drain").returncode == 0
    return other


@contextmanager
def lagging(settings: Settings, relay: Server, url: str) -> Iterator[subprocess.Popen[str]]:
    """Run a worker; the standby has not got what it did lately."""
    with running(settings, "worker") as process:
        relay.wait_for(60, SECONDS)
        keep(url)
        relay.wait_for(len(relay.accepted) + 150, SECONDS)
        yield process


def doubled(relay: Server) -> int:
    return len(relay.accepted) - len({one.recipient for one in relay.accepted})


def is_held(settings: Settings, words: str) -> None:
    told = run(settings, "hold", "status")
    assert told.returncode == 1
    assert words in told.stdout


def test_a_running_worker_holds_every_host_and_says_why(
    environment: Settings, issue: int, relay: Server, services: Services, database_url: str
) -> None:
    with lagging(environment, relay, database_url) as process:
        go_back(database_url)
        is_said(process, BEHIND)
        end(process)
    is_held(environment, BEHIND)
    assert doubled(relay) == 0
    assert run(environment, "worker", "--drain").returncode == 1
    assert doubled(relay) == 0
    with services.reading.begin() as session:
        assert set(session.scalars(select(Host.held_because))) == {"behind"}
    relay.delay = 0
    assert run(environment, "hold", "release").returncode == 0
    assert run(environment, "worker", "--drain").returncode == 0
    assert len({one.recipient for one in relay.accepted}) == MANY
    states = books(services, issue)
    assert states["accepted"] + states.get("uncertain", 0) == MANY


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_the_next_worker_knows_what_one_that_was_killed_or_stopped_had_done(
    ending: signal.Signals, environment: Settings, issue: int, relay: Server, database_url: str
) -> None:
    assert issue
    with lagging(environment, relay, database_url) as process:
        process.send_signal(ending)
        process.communicate(timeout=SECONDS)
    go_back(database_url)
    assert run(environment, "worker", "--drain").returncode == 1
    words = BEHIND if ending is signal.SIGKILL else "older than what this host last saw"
    is_held(environment, words)
    assert doubled(relay) == 0


def test_another_host_waits_for_the_one_whose_work_may_be_missing(
    environment: Settings, other: Settings, issue: int, relay: Server, services: Services,
    database_url: str,
) -> None:  # fmt: skip
    """It has lost nothing itself, and would send what the other has sent."""
    assert issue
    with services.writing.begin() as session:
        session.execute(update(Host).values(seen_at=now()))
    with lagging(environment, relay, database_url) as process:
        process.send_signal(signal.SIGSTOP)
        go_back(database_url)
        assert run(other, "worker", "--drain").returncode == 1
        is_held(other, "another host has not confirmed yet")
        process.send_signal(signal.SIGCONT)
        is_said(process, BEHIND)
    is_held(other, BEHIND)
    assert doubled(relay) == 0


def test_a_standby_that_lacks_nothing_goes_on_by_itself(
    environment: Settings, other: Settings, issue: int, relay: Server, services: Services,
    database_url: str,
) -> None:  # fmt: skip
    """On two hosts, once both have looked."""
    with running(environment, "worker"), running(other, "worker"):
        relay.wait_for(100, SECONDS)
        with services.writing.begin() as session:
            session.execute(update(Host).values(timeline="FFFFFFFF"))
        cut(database_url)
        relay.wait_for(MANY, SECONDS)
        wait_until(lambda: books(services, issue).get("accepted") == MANY)
    assert doubled(relay) == 0
