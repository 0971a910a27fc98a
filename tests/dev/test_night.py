"""Tests that wait for the night, or for programs that are missing, are counted and named."""

import os
import subprocess
import sys

from tests.browser import chromium
from tests.dev.checkout import ROOT
from tests.markers import night
from tests.production import nginx

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


def test_costly_tests_are_left_for_the_night_and_its_five_slices_run_all_of_them(tmp_path):
    for number in range(6):
        (tmp_path / f"test_{number}.py").write_text(DEAR)
    (tmp_path / "test_cases.py").write_text(CASES)
    slices = [f"--night-slice {commit}" for commit in COMMITS]
    said = subprocess.run(
        [sys.executable, "-c", RUN_EACH, "--night", "-n 2", "test_0.py::test_dear", *slices],
        cwd=tmp_path, check=True, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    ).stdout  # fmt: skip
    whole, day, named, *parts = said.split("test session starts")[1:]
    by_day = (
        "test_cheap", "test_refusal[MAIL-1]", "test_refusal[DOT-2]", "test_statement[sqlite]",
        "test_lock[sqlite]", "test_lock[postgresql]", "test_role[postgresql]",
    )  # fmt: skip
    assert [name for name in by_day if f"::{name}" not in day] == []
    assert "12 passed" in day
    left = "4 faults, 20 kills, 1 repeats on PostgreSQL"
    assert f"Left for the night (dev.py test --night): {left}.\n" in day
    assert "3 passed" in named
    assert all(f"Slice {n} of 5 of the night, by the commit." in said for n in range(1, 6))
    assert sum(part.count(" PASSED") for part in parts) == 25
    assert "37 passed" in whole
    assert "Left" not in whole


@night("a run without programs")
def test_a_missing_program_is_reported_loudly_or_fails_where_it_is_required(tmp_path):
    """By the process that reports, of what another one ran, where no program is on the PATH."""
    tests = (
        "tests/browser/test_keyboard.py::test_tab_goes_through_the_form_as_it_is_read",
        "tests/production/test_files.py::test_plain_http_leads_to_https_and_is_not_logged",
    )
    kept = {"HOME": os.environ.get("HOME", "/"), "PYTHONWARNINGS": "ignore", "PATH": str(tmp_path)}
    for required in ("", "1"):
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-n", "1", *tests],
            cwd=ROOT, check=False, capture_output=True, text=True,
            env={f"REQUIRE_{each}": required for each in ("BROWSER", "NGINX", "NETWORK")} | kept,
        )  # fmt: skip
        assert ended.returncode == int(required or 0)
        for missing in (chromium.MISSING, nginx.MISSING):
            assert (missing if required else f"!!! {missing} !!!") in ended.stdout
