"""The set-up: from nothing, once, and whole again after whatever happened to it."""

import ast
import re
import signal
import subprocess

import pytest

from tests.dev.checkout import ROOT, Checkout, is_alive, pythons
from tests.markers import night, one_by_day
from tests.servers.ports import free_port
from tests.waiting import wait_until


def is_set_up_anew(answer: subprocess.CompletedProcess[str]) -> bool:
    assert answer.returncode == 0, answer.stdout
    assert "pytest -x" in answer.stdout
    return "Setting up" in answer.stdout


@one_by_day("installations")
@pytest.mark.parametrize("python", pythons())
def test_python3_and_pip_are_enough(new_checkout, python):
    """The environment has no pip of its own: that would take ensurepip, which Debian leaves out."""
    checkout = new_checkout(python)
    assert is_set_up_anew(checkout.dev("test", "-x"))
    assert list((checkout.root / ".venv/bin").glob("pip*")) == []


def test_the_second_time_nothing_is_installed_also_by_the_environment_itself(ready):
    assert not is_set_up_anew(ready.dev("test", "-x", HIDE_PIP="1"))
    python, ready.python = ready.python, str(ready.root / ".venv" / "bin" / "python")
    answer = ready.dev("test", "-x")
    ready.python = python
    assert not is_set_up_anew(answer)


@night("installations")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_set_up_killed_half_way_leaves_nobody_and_heals(checkout, number):
    process = checkout.start("test", "-x", SLOW_PIP="1")
    pid_file = checkout.root / "var" / "pip.pid"
    wait_until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
    assert (checkout.root / ".venv" / "half").exists()
    process.send_signal(number)
    process.communicate(timeout=60)
    wait_until(lambda: not is_alive(int(pid_file.read_text())))

    assert is_set_up_anew(checkout.dev("test", "-x"))
    assert not (checkout.root / ".venv" / "half").exists()


def take_the_python(checkout: Checkout) -> None:
    (checkout.root / ".venv/bin/python").unlink()
    (checkout.root / ".venv/bin/python").symlink_to("/gone/bin/python3")


def renew_the_lock(checkout: Checkout) -> None:
    with (checkout.root / "requirements/test.txt").open("a") as lock:
        lock.write("# renewed\n")


def move(checkout: Checkout) -> None:
    checkout.root = checkout.root.rename(checkout.root.with_name("elsewhere"))


@night("installations")
def test_an_environment_without_its_python_lock_or_place_is_set_up_anew(checkout):
    checkout.dev("test", "-x")
    for harm in (take_the_python, renew_the_lock, move):
        harm(checkout)
        assert is_set_up_anew(checkout.dev("test", "-x")), harm
        assert not is_set_up_anew(checkout.dev("test", "-x")), harm
    assert checkout.dev("lint").returncode == 0


@night("installations")
def test_the_environment_is_of_the_python_that_was_called(checkout):
    for python in pythons():
        checkout.python = python
        answer = checkout.dev("test", "-x")
        assert is_set_up_anew(answer)
        version = subprocess.check_output([python, "-V"], text=True).split()[1]
        assert f"of {version}" in answer.stdout


@night("installations")
def test_the_test_packages_join_those_of_a_server_that_runs(checkout):
    answer = checkout.dev("run", "--port", str(free_port()), STAND_IN_PREPARE="fails")
    assert "could not be set up" in answer.stdout
    serving = (checkout.root / ".venv").stat().st_ino
    assert is_set_up_anew(checkout.dev("test", "-x"))
    assert (checkout.root / ".venv").stat().st_ino == serving


@night("installations")
def test_two_that_start_at_once_set_up_once(checkout):
    both = [checkout.start("test", "-x"), checkout.start("test", "-x")]
    said = [process.communicate(timeout=100)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("Setting up" in words for words in said) == 1


@night("installations")
def test_a_package_that_is_not_the_one_locked_is_refused(checkout):
    lock = checkout.root / "requirements" / "test.txt"
    sound = lock.read_text()
    lock.write_text(re.sub(r"sha256:.{4}", "sha256:0000", sound))
    for _ in range(2):
        answer = checkout.dev("test", "-x")
        assert answer.returncode == 1
        assert "DO NOT MATCH THE HASHES" in answer.stdout

    lock.write_text(sound)
    assert is_set_up_anew(checkout.dev("test", "-x"))


@night("installations")
def test_without_a_network_it_says_what_to_do(checkout):
    nowhere = {"PIP_NO_INDEX": "0", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "http://127.0.0.1:9/"}
    answer = checkout.dev("run", "--port", str(free_port()), **nowhere, PIP_RETRIES="0")
    assert answer.returncode == 1
    assert "Is this machine online?" in answer.stdout
    assert "Traceback" not in answer.stdout


def test_an_older_python_can_read_the_file_and_says_what_it_needs(checkout):
    ast.parse((ROOT / "dev.py").read_text(), feature_version=(3, 7))
    older = "import runpy, sys; sys.version, sys.version_info = '3.8.2 (old)', (3, 8, 2)\n"
    code = f"{older}runpy.run_path({str(checkout.root / 'dev.py')!r}, run_name='__main__')"
    command = [checkout.python, "-c", code]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert answer.stderr == "Belong Mail needs Python 3.11 or newer; this is 3.8.2.\n"
