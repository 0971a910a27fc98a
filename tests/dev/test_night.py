"""What is marked for the night is left out of a change's tests, and said; the night has it all."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dev.checkout import ROOT

NOTHING_RAN = 5
CONFTEST = 'pytest_plugins = ("tests.night",)\n'
DEAR = """
import pytest

def test_cheap(): pass

@pytest.mark.night("kills")
@pytest.mark.parametrize("number", range(3))
def test_dear(number): pass
"""
CASES = """
import pytest

@pytest.mark.one_by_day("faults", of="verb")
@pytest.mark.parametrize("code", [1, 2, 3])
@pytest.mark.parametrize("verb", ["MAIL", "DOT"])
def test_refusal(verb, code): pass

@pytest.mark.one_by_day("faults")
@pytest.mark.parametrize("code", [1, 2, 3])
def test_code(code): pass
"""
DATABASES = """
import pytest

@pytest.fixture(params=["sqlite", "postgresql"])
def url(request): return request.param

def test_statement(url): pass

@pytest.mark.on_both("locks")
def test_lock(url): pass

@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_role(url): pass

@pytest.mark.on_both("locks")
@pytest.mark.night("kills")
def test_killed_while_it_locks(url): pass
"""


def suite(folder: Path, *arguments: str) -> str:
    """Run six files of one cheap test and three dear ones; return the last lines."""
    (folder / "conftest.py").write_text(CONFTEST)
    for number in range(6):
        (folder / f"test_{number}.py").write_text(DEAR)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    answer = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert answer.returncode in {0, NOTHING_RAN}, answer.stdout + answer.stderr
    return answer.stdout


@pytest.mark.parametrize("processes", ["0", "2"])
def test_what_is_left_for_the_night_is_counted_by_its_reason(
    tmp_path: Path, processes: str
) -> None:
    said = suite(tmp_path, "-n", processes)
    assert "6 passed" in said
    assert "Left for the night (dev.py test --night): 18 kills.\n" in said


def test_the_night_leaves_nothing(tmp_path: Path) -> None:
    said = suite(tmp_path, "--night")
    assert "24 passed" in said
    assert "Left" not in said


def test_five_slices_are_the_whole_night_and_nothing_else(tmp_path: Path) -> None:
    passed = 0
    for commit in ("a0", "a1", "a2", "a3", "a4"):
        said = suite(tmp_path, "--night-slice", commit + "f" * 10)
        assert re.search(r"^Slice [1-5] of 5 of the night, by the commit\.$", said, re.MULTILINE)
        found = re.search(r"(\d+) passed", said)
        passed += int(found[1]) if found else 0
    assert passed == 18


def test_what_is_named_runs_at_any_time(tmp_path: Path) -> None:
    assert "3 passed" in suite(tmp_path, "test_0.py::test_dear")


def test_what_is_repeated_on_postgresql_without_a_reason_waits_for_the_night(
    tmp_path: Path,
) -> None:
    (tmp_path / "test_databases.py").write_text(DATABASES)
    said = suite(tmp_path, "-vv")
    for each in ("statement[sqlite]", "lock[sqlite]", "lock[postgresql]", "role[postgresql]"):
        assert f"test_{each} PASSED" in said
    assert "statement[postgresql] PASSED" not in said
    assert "1 repeats on PostgreSQL" in said


@pytest.mark.parametrize("processes", ["0", "2"])
def test_of_many_cases_one_of_each_runs_by_day(tmp_path: Path, processes: str) -> None:
    (tmp_path / "test_cases.py").write_text(CASES)
    said = suite(tmp_path, "-vv", "-n", processes)
    for each in ("test_refusal[MAIL-1]", "test_refusal[DOT-2]", "test_code[1]"):
        assert each in said
    assert "9 passed" in said
    assert "6 faults" in said
