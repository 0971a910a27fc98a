"""Real worker processes: told to stop, killed at any moment, and two at once."""

import os
import signal

import pytest

from belong_mail.worker.process import NICENESS
from tests.delivery.factories import books, queue
from tests.factories import queue_issue
from tests.markers import on_both, on_sqlite
from tests.processes import SECONDS, Forked, complaints_in, drain, is_ready_to_end, run, running
from tests.servers.smtp import drop
from tests.waiting import wait_until


def wait_for_end(process: Forked) -> str:
    """Return what a process complained of; what it only reports is left out."""
    output, _ = process.communicate(timeout=SECONDS)
    return complaints_in(output)


@pytest.mark.parametrize("arguments", [[], ["--drain"]], ids=["worker", "draining"])
def test_a_worker_that_is_told_to_stop_finishes_what_it_holds_and_the_next_one_goes_on(
    arguments, environment, relay, services
):
    issue = queue(services, 60)
    may_go_on, relay.delay = relay.hold_after(10), 0.3  # it looks whether it is told more often
    with running(environment, "worker", *arguments) as process:
        relay.wait_for(10)
        process.send_signal(signal.SIGTERM)
        may_go_on.set()
        output = wait_for_end(process)
    done = len(relay.accepted)
    assert 10 <= done < 60
    said = f"Waiting for later: {60 - done} queued.\n" if arguments else ""
    assert (process.returncode, output) == (0, said)
    assert books(services, issue) == {"recipients": 60, "queued": 60 - done, "accepted": done}
    relay.delay = 0
    assert drain(environment) == "Nothing is waiting."
    assert books(services, issue) == {"recipients": 60, "accepted": 60}
    assert len({one.recipient for one in relay.accepted}) == len(relay.accepted) == 60


@on_both("on SQLite a worker that waits would keep the lock")
def test_an_idle_worker_ends_at_once_and_lets_pages_come_first_but_on_sqlite(
    environment, relay, services
):
    with running(environment, "worker") as process:
        workers = services.settings.state_folder / "workers"
        wait_until(lambda: is_ready_to_end(process.pid) and any(workers.iterdir()))
        priority = os.getpriority(os.PRIO_PROCESS, process.pid)
        process.send_signal(signal.SIGINT)
        assert wait_for_end(process) == ""
    assert process.returncode == 0
    assert relay.connections == 0
    assert list(workers.iterdir()) == []
    own = os.getpriority(os.PRIO_PROCESS, 0)
    is_sqlite = services.engine.dialect.name == "sqlite"
    assert priority == (own if is_sqlite else max(NICENESS, own))


@on_sqlite
def test_a_draining_worker_says_what_waits_for_later(environment, relay, services):
    issue = queue(services, 5)
    relay.script("RCPT", "450 4.2.1 Later")
    relay.script("DOT", drop())
    said = drain(environment)
    assert said.startswith("Waiting for later: ")
    assert set(said[19:].rstrip(".").split(", ")) == {"1 deferred", "1 uncertain"}
    assert books(services, issue)["accepted"] == 3
    relay.stop()
    with services.writing.begin() as session:
        queue_issue(session)
    ended = run(environment, "worker", "--drain")
    assert (ended.returncode, "5 queued" in ended.stdout) == (0, True)
    assert ended.stderr.strip().endswith("not be used, at CONNECT: ConnectionRefusedError.")
    assert "dpsk12" not in ended.stderr
