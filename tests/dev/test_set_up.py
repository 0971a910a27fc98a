"""The set-up: from nothing, once, anew for another lock, and whole again after a kill."""

import re
import subprocess

import pytest

from tests.dev.checkout import is_alive, pythons
from tests.markers import night, one_by_day
from tests.servers.ports import free_port
from tests.waiting import wait_until


def is_set_up_anew(answer: subprocess.CompletedProcess[str]) -> bool:
    assert answer.returncode == 0, answer.stdout
    assert "pytest -x" in answer.stdout
    return "Setting up" in answer.stdout


@one_by_day("installations")
@pytest.mark.parametrize("python", pythons())
def test_python3_and_pip_set_it_up_once_for_each_lock(new_checkout, python):
    """The environment has no pip of its own: that would take ensurepip, which Debian leaves out."""
    checkout = new_checkout(python)
    assert is_set_up_anew(checkout.dev("test", "-x"))
    assert list((checkout.root / ".venv/bin").glob("pip*")) == []
    assert not is_set_up_anew(checkout.dev("test", "-x"))
    with (checkout.root / "requirements/test.txt").open("a") as lock:
        lock.write("# renewed\n")
    assert is_set_up_anew(checkout.dev("test", "-x"))


@night("installations")
def test_a_set_up_killed_half_way_leaves_nobody_and_heals(checkout):
    process = checkout.start("test", "-x", SLOW_PIP="1")
    pid_file = checkout.root / "var" / "pip.pid"
    wait_until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
    assert (checkout.root / ".venv" / "half").exists()
    process.kill()
    process.communicate(timeout=60)
    wait_until(lambda: not is_alive(int(pid_file.read_text())))

    assert is_set_up_anew(checkout.dev("test", "-x"))
    assert not (checkout.root / ".venv" / "half").exists()


@night("installations")
def test_an_environment_without_its_python_or_place_or_of_another_is_set_up_anew(checkout):
    def takes_another_python() -> None:
        checkout.python = pythons()[-1]

    def moves() -> None:
        checkout.root = checkout.root.rename(checkout.root.with_name("elsewhere"))

    checkout.dev("test", "-x")
    for harm in ((checkout.root / ".venv/bin/python").unlink, takes_another_python, moves):
        harm()
        is_another = harm is not takes_another_python or len(pythons()) > 1
        assert is_set_up_anew(checkout.dev("test", "-x")) is is_another, harm
        assert not is_set_up_anew(checkout.dev("test", "-x", HIDE_PIP="1")), harm


@night("installations")
def test_test_packages_join_those_of_a_server_and_two_that_start_at_once_set_up_once(checkout):
    checkout.dev("run", "--port", str(free_port()), NOTHING_TO_PREPARE="1")
    (checkout.root / ".venv" / "serves").touch()
    both = [checkout.start("test", "-x"), checkout.start("test", "-x")]
    said = [process.communicate(timeout=100)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("Setting up" in words for words in said) == 1
    assert (checkout.root / ".venv" / "serves").exists()


@night("installations")
def test_without_a_network_it_says_what_to_do(checkout):
    nowhere = {"PIP_NO_INDEX": "0", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "http://127.0.0.1:9/"}
    answer = checkout.dev("lint", **nowhere, PIP_RETRIES="0")
    assert (answer.returncode, "Is this machine online?" in answer.stdout) == (1, True)
    assert "Traceback" not in answer.stdout


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
