"""Each sabotage still applies, so that `python -m tests.guards` proves what it says."""

import subprocess
import sys

from tests.guards.sabotage import ROOT, read_catalog


def is_there(test: str) -> bool:
    """Tell whether a file is there, and the test in it that is named after it."""
    place, _, name = test.partition("[")[0].partition("::")
    return (ROOT / place).exists() and (not name or f"def {name}(" in (ROOT / place).read_text())


def test_each_sabotage_applies_and_names_tests_that_are_there():
    wrong = [
        str(each)
        for each in read_catalog()
        if each.place(ROOT) is None or each.old == each.new or not is_there(each.test)
    ]
    assert wrong == [], "What they replace stands there no more, or more than once."


def test_a_sabotaged_module_compiles_and_names_nothing_undefined(tmp_path):
    """One that cannot run turns every test red, whether or not its guard is watched."""
    for number, sabotage in enumerate(read_catalog()):
        place = sabotage.place(ROOT)
        if place and place.file.suffix == ".py":
            (tmp_path / f"{number}.py").write_text(sabotage.sabotaged(place))
    check = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821,E9"]
    answer = subprocess.run([*check, str(tmp_path)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout
