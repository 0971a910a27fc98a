"""A standby that takes over some seconds behind: what it lacks does not leave again unasked."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from tests.delivery.factories import books, queue
from tests.markers import on_postgresql, one_by_day
from tests.operations.failover import HELD, TOOK_OVER, Settings, doubled, is_held
from tests.operations.troubles import end, go_back, is_said, keep
from tests.processes import SECONDS, run, running
from tests.servers.smtp import Server

pytestmark = on_postgresql

MANY = 400
LACKS = "the database lacked what that had done"


@pytest.fixture
def issue(environment: Settings, services: Services, keyring: Keyring, relay: Server) -> int:
    """Return an issue that takes some seconds to leave; this host is known to the database."""
    assert run(environment, "worker", "--drain").returncode == 0
    relay.delay = 0.02
    return queue(services, keyring, MANY)


@pytest.fixture
def other(environment: Settings, services: Services, tmp_path: Path) -> Settings:
    """The settings of another host that is known to the database."""
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


def test_a_running_worker_is_on_hold_and_says_why(
    environment: Settings, issue: int, relay: Server, services: Services, database_url: str
) -> None:
    with lagging(environment, relay, database_url) as process:
        go_back(database_url)
        is_said(process, HELD)
        end(process)
    is_held(environment, TOOK_OVER)
    assert doubled(relay) == 0
    assert run(environment, "worker", "--drain").returncode == 1
    assert doubled(relay) == 0
    relay.delay = 0
    assert run(environment, "hold", "release").returncode == 0
    assert run(environment, "worker", "--drain").returncode == 0
    assert len({one.recipient for one in relay.accepted}) == MANY
    states = books(services, issue)
    assert states["accepted"] + states.get("uncertain", 0) == MANY


@one_by_day("faults")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_the_next_worker_knows_what_one_that_was_killed_or_stopped_had_done(
    ending: signal.Signals, environment: Settings, issue: int, relay: Server, database_url: str
) -> None:
    """By its journal or its epoch, where an older copy is on the same timeline."""
    assert issue
    with lagging(environment, relay, database_url) as process:
        process.send_signal(ending)
        process.communicate(timeout=SECONDS)
    go_back(database_url, is_failover=False)
    assert run(environment, "worker", "--drain").returncode == 1
    is_held(environment, LACKS, "older than what this host last saw")
    assert doubled(relay) == 0


def test_what_one_host_misses_holds_the_others(
    environment: Settings, other: Settings, issue: int, relay: Server, database_url: str
) -> None:
    assert issue
    with lagging(environment, relay, database_url) as process:
        go_back(database_url, is_failover=False)
        is_said(process, HELD)
    assert run(other, "worker", "--drain").returncode == 1
    is_held(other, LACKS)
    assert doubled(relay) == 0


def test_each_host_waits_for_its_own_release(
    environment: Settings, other: Settings, issue: int, relay: Server, database_url: str
) -> None:
    """One has lost nothing itself, and would send what the other has sent."""
    assert issue
    with lagging(environment, relay, database_url) as process:
        process.send_signal(signal.SIGSTOP)
        go_back(database_url)
        assert run(other, "worker", "--drain").returncode == 1
        is_held(other, TOOK_OVER)
        process.send_signal(signal.SIGCONT)
        is_said(process, HELD)
    assert run(environment, "hold", "release").returncode == 0
    is_held(other, TOOK_OVER)
    assert doubled(relay) == 0
