"""`dev.py run`: two processes that begin and end together."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.dev.checkout import Checkout, end, is_alive, words_until
from tests.markers import one_by_day
from tests.servers.ports import free_port
from tests.waiting import wait_until


@contextmanager
def serving(checkout: Checkout) -> Iterator[subprocess.Popen[str]]:
    """Run until both processes are there; whatever happens, leave none behind."""
    process = checkout.start("run", "--port", str(free_port()))
    try:
        checkout.noted("web")
        checkout.noted("worker")
        yield process
    finally:
        if process.poll() is None:
            end(process)


def test_it_prints_where_to_go_and_what_the_app_has_to_say(ready):
    port = free_port()
    process = ready.start("run", "--port", str(port))
    said = words_until(process, "Ctrl-C ends it.")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
        assert answer.status == 200
    facts = {name: ready.noted(name) for name in ("prepare", "web", "worker")}
    end(process)
    assert f"http://localhost:{port}/\n" in said
    assert f"http://localhost:{port}/dev/mailbox\n" in said
    assert "Sign in as the sample lead." in said
    assert facts["web"]["port"] == port
    for each in facts.values():  # so mailed links lead here
        assert each["settings"]["BELONG_BASE_URL"] == f"http://localhost:{port}"


@one_by_day("ends of dev.py run")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_cleanly_when_asked(ready, number):
    """Also where the tests themselves were told to outlive their terminal (`nohup`)."""
    previous = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with serving(ready) as process:
            process.send_signal(number)
            said, _ = process.communicate(timeout=60)
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert_all_ended(ready)
    ready.noted("web-finished")
    ready.noted("worker-finished")


@one_by_day("ends of dev.py run")
@pytest.mark.parametrize(("dying", "name"), [("web", "web server"), ("worker", "worker")])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_when_one_ends_by_itself_the_other_is_ended_too(ready, dying, name, number):
    with serving(ready) as process:
        os.kill(ready.noted(dying)["pid"], number)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"The {name} stopped by itself" in said
    assert_all_ended(ready)
    ready.noted("worker-finished" if dying == "web" else "web-finished")


def test_an_app_that_cannot_be_prepared_and_a_taken_port_are_not_served(ready, checkout):
    answer = ready.dev("run", "--port", str(free_port()), NOTHING_TO_PREPARE="1")
    assert (answer.returncode, "There is no such database." in answer.stdout) == (1, True)
    assert not (ready.root / "var" / "web.json").exists()
    with socket.create_server(("127.0.0.1", 0)) as other:
        answer = checkout.dev("run", "--port", str(other.getsockname()[1]))
    assert (answer.returncode, "is taken. Choose another" in answer.stdout) == (1, True)
    assert not (checkout.root / ".venv").exists()


if sys.platform == "linux":

    def test_even_kill_9_leaves_no_process_behind(ready):
        with serving(ready) as process:
            process.kill()
            process.communicate(timeout=60)
        assert_all_ended(ready)


def assert_all_ended(checkout: Checkout) -> None:
    """Wait for the end of each process that wrote its number down."""
    noted = [checkout.noted(file.stem) for file in (checkout.root / "var").glob("w*.json")]
    pids = [facts[key] for facts in noted for key in ("pid", "own") if key in facts]
    wait_until(lambda: not any(is_alive(pid) for pid in pids))
