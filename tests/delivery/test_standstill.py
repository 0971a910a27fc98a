"""Workers that stand still, and journals that lost something: nothing leaves twice untold."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from belong_mail.delivery.journal import (
    ENTRY_OCTETS,
    FULL_OCTETS,
    MAX_OCTETS,
    Journal,
    JournalEntry,
    read_journal,
)
from belong_mail.delivery.worker_lock import WorkerLock, _boot
from belong_mail.worker.loop import Worker
from tests.delivery.factories import books, queue
from tests.markers import on_both, on_sqlite, one_connection
from tests.processes import ROOT, SECONDS, complaints_in, flask, run, running, surroundings
from tests.servers.network import IS_REQUIRED

pytestmark = on_both("locks and disks")

Settings = dict[str, str]
HOLD = pytest.mark.parametrize("settings", [{"BELONG_UNCERTAIN": "hold"}])


@pytest.fixture
def gate(relay, worker) -> Callable[[str], threading.Event]:
    """Let the worker come to a verb, at which the relay says nothing until the event is set."""

    def close(verb: str) -> threading.Event:
        has_come, may_go_on = threading.Event(), threading.Event()

        def wait(_: str) -> None:
            if not has_come.is_set():
                has_come.set()
                may_go_on.wait(SECONDS)

        relay.on(verb, wait)
        while not has_come.is_set():
            worker._turn()
        return may_go_on

    return close


def stand_still(worker) -> None:
    """Let a minute pass for a worker of this process that does nothing meanwhile."""
    engine = worker.engine
    engine._renewed_at -= 61
    engine._dispatcher.is_ours_until -= 61
    engine._lock.journal.move(engine._renewed_at)


@one_connection
@pytest.mark.parametrize(("verb", "has_heard"), [("MAIL", True), ("DATA", True), ("DATA", False)])
def test_a_worker_that_stands_still_is_relieved_in_its_own_folder_and_sends_nothing_more(
    verb, has_heard, gate, worker, relay, services, keyring
):
    """A message before its final dot has certainly not left, and never does.

    What the relay says to the first worker then is of no account: the relief has sent it.
    """
    issue = queue(services, 3)
    may_go_on = gate(verb)
    ours = worker.engine._dispatcher.is_ours_until - worker.engine._renewed_at
    assert ours == pytest.approx(55), "other clocks may be ahead"
    stand_still(worker)
    relief = Worker(services, keyring)
    relief.drain()
    assert books(services, issue) == {"recipients": 3, "accepted": 3}
    if verb == "MAIL":
        relay.script("RCPT", "450 4.2.1 Later")
    may_go_on.set()
    if not has_heard:
        worker.engine._drive(1.0)
        assert len(relay.accepted) == 3, "nor before the database tells it"
    worker.drain()
    relief.close()
    assert books(services, issue) == {"recipients": 3, "accepted": 3}
    assert len(relay.accepted) == 3
    queue(services, 0)
    worker.drain()
    assert len({one.recipient for one in relay.accepted}) == len(relay.accepted) - 3


@HOLD
@one_connection
def test_a_stalled_workers_copy_in_flight_is_uncertain_until_its_answer_comes(
    gate, worker, relay, services, keyring
):
    issue = queue(services, 3)
    may_go_on = gate("DOT")
    stand_still(worker)
    relief = Worker(services, keyring)
    relief.drain()
    assert books(services, issue) == {"recipients": 3, "accepted": 2, "uncertain": 1}
    may_go_on.set()
    worker.drain()
    relief.close()
    assert books(services, issue) == {"recipients": 3, "accepted": 3}
    assert len({one.recipient for one in relay.accepted}) == len(relay.accepted) == 3


def test_a_journal_that_was_full_knows_what_is_open_and_never_grows(tmp_path):
    file = tmp_path / "worker.journal"
    journal = Journal(file)
    journal.write(1, JournalEntry.DOT)
    assert [journal.begin(), journal.begin()] == [1, 2]
    journal.end_well()
    assert journal.begin() == 3
    for number in range(2, 2 + FULL_OCTETS // ENTRY_OCTETS):
        journal.write(number, JournalEntry.ACCEPTED)
        journal.forget([number - 1] if number > 2 else [])
    last = 1 + FULL_OCTETS // ENTRY_OCTETS
    journal.write(last, JournalEntry.TAKEN)
    assert file.stat().st_size == MAX_OCTETS
    assert read_journal(file).marks == {
        1: JournalEntry.DOT,
        last - 1: JournalEntry.ACCEPTED,
        last: JournalEntry.TAKEN,
    }
    assert read_journal(file)[1:3] == (3, 2)
    journal.move(7.5)
    assert read_journal(file)[1:] == (3, 2, 7.5)
    for boot in (_boot(), "another-"):  # of another, marks may never have reached the disk
        shutil.copy(file, tmp_path / f"{boot}-name.journal")
    lock = WorkerLock(tmp_path)
    assert lock.entries(f"{_boot()}-name", 4) is lock.entries("another--name") is None
    assert lock.entries(f"{_boot()}-name", 3) is not None
    lock.end()
    journal.forget([1, last - 1, last])
    journal.write(2, JournalEntry.TAKEN)
    assert read_journal(file).marks == {2: JournalEntry.TAKEN}, "ids are used again"
    journal.end()
    assert not file.exists()


def test_a_count_waits_while_another_thread_rewrites_the_journal(tmp_path):
    """Else the count or the whole worker would be lost with the file that it replaces."""
    journal = Journal(tmp_path / "worker.journal")
    counting = threading.Thread(target=journal.begin)
    with journal._lock:
        counting.start()
        counting.join(0.2)
        assert counting.is_alive()
    counting.join()


@HOLD
def test_a_journal_that_is_older_than_the_database_is_not_believed(
    environment, relay, services, tmp_path
):
    """The disk took nothing more from some moment on, and the machine did not start anew."""
    issue, folder = queue(services, 300), services.settings.state_folder / "workers"
    may_go_on = relay.hold_after(20)
    with running(environment, "worker") as process:
        relay.wait_for(20)
        [journal] = folder.glob("*.journal")
        shutil.copy(journal, tmp_path / "on-the-disk")
        relay.hold_after(150)
        may_go_on.set()
        relay.wait_for(150)
        process.kill()
        process.wait()
    shutil.copy(tmp_path / "on-the-disk", journal)
    relay.usual()
    assert run(environment, "worker", "--drain").returncode == 0
    assert list(folder.iterdir()) == [], "the files of the dead are gone"
    assert len({one.recipient for one in relay.accepted}) == len(relay.accepted)
    states = books(services, issue)
    assert states["accepted"] + states["uncertain"] == 300
    assert 0 < states["uncertain"] <= 100


@on_sqlite
def test_a_state_folder_that_is_read_only_stops_the_worker_until_it_is_not(
    environment, relay, services, tmp_path
):
    """Marks in mapped memory can still be written, and would be lost."""
    issue, folder = queue(services, 120), services.settings.state_folder / "workers"
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        (pytest.fail if IS_REQUIRED else pytest.skip)(
            "NOT TESTED: disks that turn read-only; mounting needs root"
        )
    may_go_on, said = relay.hold_after(20), tmp_path / "said"
    with worker_with_mounts(environment, said) as process:
        relay.wait_for(20)
        inside = ["nsenter", f"--target={process.pid}", "--mount"]
        subprocess.run(
            [*inside, "mount", "-t", "tmpfs", "-o", "ro", "none", str(folder)], check=True
        )
        may_go_on.set()
        complaint = first_complaint(said, relay, 120)
        assert "state folder cannot be used: OSError" in complaint
        stopped_at = len(relay.accepted)
        assert stopped_at < 120
        assert books(services, issue) == {
            "recipients": 120, "accepted": stopped_at, "queued": 120 - stopped_at,
        }  # fmt: skip
        time.sleep(1)
        assert len(relay.accepted) == stopped_at
        subprocess.run([*inside, "umount", str(folder)], check=True)
        relay.wait_for(120, SECONDS)
        process.terminate()
        assert process.wait(SECONDS) == 0
    assert books(services, issue) == {"recipients": 120, "accepted": 120}
    assert len({one.recipient for one in relay.accepted}) == len(relay.accepted) == 120


@contextmanager
def worker_with_mounts(environment, said: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker that sees mounts of its own until the block is left."""
    with (
        said.open("ab") as log,
        subprocess.Popen(
            ["unshare", "--mount", *flask("worker")], cwd=ROOT, env=surroundings(environment),
            stdout=log, stderr=log,
        ) as process,
    ):  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def first_complaint(said: Path, relay, last: int) -> str:
    """Wait for a line that is more than a report, at most until the last mail has left."""
    while True:
        has_all_left = len(relay.accepted) >= last
        complaints = complaints_in(said.read_text().rpartition("\n")[0]).splitlines()
        if complaints or has_all_left:
            return next(iter(complaints), "")
        time.sleep(0.05)
