"""A database that lacks what its workers have done: that does not leave again unasked."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from belong_mail.core.decryption import Keyring
from belong_mail.core.services import Services
from tests.delivery.factories import queue
from tests.markers import on_postgresql, one_by_day
from tests.ops.copies import HELD, Settings, doubled, is_held
from tests.ops.troubles import go_back, is_said, keep
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


@one_by_day("faults")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_the_next_worker_knows_what_one_that_was_killed_or_stopped_had_done(
    ending, environment, issue, relay, database_url
):
    """By its journal or its epoch, where an older copy is on the same timeline."""
    assert issue
    with lagging(environment, relay, database_url) as process:
        process.send_signal(ending)
        process.communicate(timeout=SECONDS)
    go_back(database_url)
    assert run(environment, "worker", "--drain").returncode == 1
    is_held(environment, LACKS, "older than what this host last saw")
    assert doubled(relay) == 0


def test_what_one_host_misses_holds_the_others(environment, other, issue, relay, database_url):
    assert issue
    with lagging(environment, relay, database_url) as process:
        go_back(database_url)
        is_said(process, HELD)
    assert run(other, "worker", "--drain").returncode == 1
    is_held(other, LACKS)
    assert doubled(relay) == 0
