"""A run without a browser says loudly what it did not test, or fails where that is not enough."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.chromium import MISSING
from tests.markers import one_by_day
from tests.processes import ROOT


def run_without_browser(folder: Path, *arguments: str, required: str) -> tuple[int, str]:
    """Run one browser test where no chromium is on the PATH."""
    env = {"PATH": str(folder), "HOME": os.environ.get("HOME", "/"), "PYTHONWARNINGS": "ignore"}
    test = "tests/browser/test_looks.py::test_a_first_visit_weighs_at_most_15_kb"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", test, *arguments],
        cwd=ROOT,
        env=env | {"REQUIRE_BROWSER": required},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@one_by_day("journeys in a browser")
@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["alone", "shared"])
def test_it_is_said_loudly_what_was_not_tested(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    status, said = run_without_browser(tmp_path, *arguments, required="")
    assert status == 0
    assert f"!!! {MISSING} !!!" in said


def test_it_fails_where_a_browser_is_required(tmp_path: Path) -> None:
    status, said = run_without_browser(tmp_path, required="1")
    assert status == 1
    assert MISSING in said
