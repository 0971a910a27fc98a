"""A run without a browser, a proxy or networks says so loudly, or fails where they are required."""

import os
import subprocess
import sys
from pathlib import Path

from tests.browser import chromium
from tests.markers import night
from tests.processes import ROOT
from tests.production import nginx

pytestmark = night("a run without programs")
TESTS = (
    "tests/browser/test_looks.py::test_a_first_visit_weighs_at_most_15_kb",
    "tests/production/test_posts.py::test_every_form_is_taken_over_https",
)


def run_without(folder: Path, *arguments: str, required: str) -> subprocess.CompletedProcess[str]:
    """Run Python where no program is on the PATH."""
    asked = {f"REQUIRE_{each}": required for each in ("BROWSER", "NGINX", "NETWORK")}
    kept = {"HOME": os.environ.get("HOME", "/"), "PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={"PATH": str(folder), **kept, **asked},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_was_not_tested_is_said_loudly(tmp_path):
    """By the process that reports, of what another one ran."""
    ended = run_without(tmp_path, "-m", "pytest", "-n", "1", *TESTS, required="")
    assert ended.returncode == 0
    for missing in (chromium.MISSING, nginx.MISSING):
        assert f"!!! {missing} !!!" in ended.stdout


def test_a_run_fails_where_they_are_required(tmp_path):
    ended = run_without(tmp_path, "-m", "pytest", *TESTS, required="1")
    assert ended.returncode == 1
    for missing in (chromium.MISSING, nginx.MISSING):
        assert missing in ended.stdout
