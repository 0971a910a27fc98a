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
from tests.markers import night, one_by_day
from tests.servers.ports import free_port
from tests.waiting import wait_until


@contextmanager
def serving(checkout: Checkout, **env: str) -> Iterator[subprocess.Popen[str]]:
    """Run until both processes are there; whatever happens, leave none behind."""
    process = checkout.start("run", "--port", str(free_port()), **env)
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


def test_mailed_links_lead_to_where_the_environment_says(ready):
    with serving(ready, BELONG_BASE_URL="https://example.org"):
        assert ready.noted("worker")["settings"]["BELONG_BASE_URL"] == "https://example.org"


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


def test_ctrl_c_is_heard_even_where_python_swallows_what_it_raises(ready):
    """As CI pressed it once: while the web server's first answer was being thrown away."""
    process = ready.start("run", "--port", str(free_port()), INTERRUPT_IN_DESTRUCTOR="1")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert_all_ended(ready)


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


def test_an_app_that_cannot_be_prepared_is_not_served(ready):
    answer = ready.dev("run", "--port", str(free_port()), STAND_IN_PREPARE="fails")
    assert answer.returncode == 1
    assert "There is no such database." in answer.stdout
    assert not (ready.root / "var" / "web.json").exists()


@night("ends of dev.py run")
def test_a_web_server_that_never_answers_is_given_up(checkout):
    hurry(checkout, "SECONDS_TO_SERVE")
    answer = checkout.dev("run", "--port", str(free_port()), STAND_IN_WEB="never answers")
    assert answer.returncode == 1
    assert "did not answer in 1 s" in answer.stdout
    assert_all_ended(checkout)


@night("ends of dev.py run")
def test_a_worker_that_does_not_end_is_killed(checkout):
    hurry(checkout, "SECONDS_TO_END")
    with serving(checkout, STAND_IN_WORKER="is stubborn") as process:
        said = end(process)
    assert process.returncode == 0
    assert "The worker did not stop when asked, so it was killed." in said
    assert_all_ended(checkout)


def test_a_port_that_is_taken_is_refused_before_anything_is_done(checkout):
    with socket.create_server(("127.0.0.1", 0)) as other:
        answer = checkout.dev("run", "--port", str(other.getsockname()[1]))
    assert answer.returncode == 1
    assert "is taken. Choose another with --port." in answer.stdout
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


def hurry(checkout: Checkout, limit: str) -> None:
    """Let a limit of dev.py be one second."""
    file = checkout.root / "dev.py"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(f"{limit} = 1\n" if f"{limit} = " in line else line for line in lines))
