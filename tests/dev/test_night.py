"""Tests marked for the night are left out of a change's tests, and named; the night has all."""

import os
import subprocess
import sys
from pathlib import Path

from tests.dev.checkout import ROOT

RUN_EACH = """
import sys, pytest
for arguments in sys.argv[1:]:
    given = f"-p xdist -p tests.night -p no:cacheprovider -vv {arguments}"
    pytest.main(given.split())
"""
COMMITS = [f"a{number}{'f' * 10}" for number in range(5)]
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


def suite(folder: Path, *runs: str) -> str:
    """Run eight files of cheap tests and dear ones once or more, and return what was said."""
    for number in range(6):
        (folder / f"test_{number}.py").write_text(DEAR)
    (folder / "test_cases.py").write_text(CASES)
    (folder / "test_databases.py").write_text(DATABASES)
    return subprocess.run(
        [sys.executable, "-c", RUN_EACH, *runs],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_what_is_dear_is_left_for_the_night_and_counted_by_its_reason(tmp_path):
    said = suite(tmp_path, "-n 2")
    by_day = (
        "test_cheap", "test_refusal[MAIL-1]", "test_refusal[DOT-2]", "test_code[1]",
        "test_statement[sqlite]", "test_lock[sqlite]", "test_lock[postgresql]",
        "test_role[postgresql]",
    )  # fmt: skip
    assert [name for name in by_day if f"::{name}" not in said] == []
    assert "13 passed" in said
    left = "6 faults, 20 kills, 1 repeats on PostgreSQL"
    assert f"Left for the night (dev.py test --night): {left}.\n" in said
    assert "3 passed" in suite(tmp_path, "test_0.py::test_dear")


def test_five_slices_are_the_whole_night_which_leaves_nothing(tmp_path):
    said = suite(tmp_path, *(f"--night-slice {commit}" for commit in COMMITS))
    assert all(f"Slice {each} of 5 of the night, by the commit." in said for each in range(1, 6))
    assert said.count(" PASSED") == 27
    night = suite(tmp_path, "--night")
    assert "40 passed" in night
    assert "Left" not in night
