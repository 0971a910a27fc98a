"""Each sabotage still applies, so that `python -m tests.guards` proves what it says."""

import subprocess
import sys

import pytest

from tests.guards.catalog import SABOTAGES
from tests.guards.sabotage import ROOT, Sabotage


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda each: each.name)
def test_a_sabotage_still_applies(sabotage: Sabotage) -> None:
    assert sabotage.applies(ROOT), "Its text stands there no more, or more than once."
    assert sabotage.old != sabotage.new
    for test in sabotage.tests:
        assert (ROOT / test.partition("::")[0]).exists()


def test_guards_have_names_of_their_own() -> None:
    assert len({each.name for each in SABOTAGES}) == len(SABOTAGES)


def test_a_guard_that_is_not_there_is_wrong_use() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.guards", "no-such-guard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 2
    assert "no-such-guard" in answer.stderr
