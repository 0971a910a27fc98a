"""A run without a proxy says loudly what it did not test, or fails where that is not enough."""

import os
import subprocess
import sys
from pathlib import Path

from tests.processes import ROOT
from tests.production.nginx import MISSING


def run_without_nginx(folder: Path, *, required: str) -> tuple[int, str]:
    """Run one test of this folder where no nginx is on the PATH."""
    env = {"PATH": str(folder), "HOME": os.environ.get("HOME", "/"), "PYTHONWARNINGS": "ignore"}
    test = "tests/production/test_posts.py::test_every_form_is_taken_over_https"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", test],
        cwd=ROOT,
        env=env | {"REQUIRE_NGINX": required},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_it_is_said_loudly_what_was_not_tested(tmp_path: Path) -> None:
    status, said = run_without_nginx(tmp_path, required="")
    assert status == 0
    assert f"!!! {MISSING} !!!" in said


def test_it_fails_where_a_proxy_is_required(tmp_path: Path) -> None:
    status, said = run_without_nginx(tmp_path, required="1")
    assert status == 1
    assert MISSING in said
