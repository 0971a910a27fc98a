"""Each sabotage still applies, so that `python -m tests.guards` proves what it says."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.guards.catalog import SABOTAGES
from tests.guards.sabotage import ROOT, Sabotage

# A change that moves a guarded line is not held up; the night says which rows to mend.
at_night = pytest.mark.night("rows of guards that must still apply")


@at_night
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


@at_night
def test_a_sabotaged_module_compiles_and_names_nothing_undefined(tmp_path: Path) -> None:
    """One that cannot run turns every test red, whether or not its guard is watched."""
    for sabotage in SABOTAGES:
        if sabotage.file.endswith(".py"):
            sound = (ROOT / sabotage.file).read_text()
            sabotaged = sound.replace(sabotage.old, sabotage.new)
            (tmp_path / f"{sabotage.name}.py").write_text(sabotaged)
    check = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821,E9"]
    answer = subprocess.run([*check, str(tmp_path)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout
