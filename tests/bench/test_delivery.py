"""The bench of delivery runs and counts right; no test looks at a time."""

import json
import subprocess
import sys

import pytest

from tests.bench.rig import figures, tools
from tests.markers import night
from tests.processes import ROOT

BENCH = (sys.executable, "-m", "tests.bench.delivery", "--quick", "--rounds", "1", "--only")
# The parts of a quick round that need nothing from a network.
NEEDED = "core,calls,mlmmj"
ROUNDS = [
    {"source.cpu": 50.0, "sqlite.cpu": 60.0, "mailman.cpu": 9000.0, "many.peak": 90.0},
    {"source.cpu": 50.0, "sqlite.cpu": 45.0, "mailman.cpu": 9000.0, "many.peak": 70.0},
    {"source.cpu": 40.0, "sqlite.cpu": 80.0, "mailman.cpu": 9600.0, "many.peak": 95.0},
]


@night("benches")
@pytest.mark.timeout(900)
def test_a_round_measures_us_as_shipped_beside_the_others(tmp_path):
    """The bench itself insists that each message arrived once, and that the books agree."""
    tools.require(*tools.PACKAGES)
    answer = subprocess.run(
        [*BENCH, NEEDED, "--folder", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "CPU a message, SQLite, to smtp-source" in answer.stdout
    kept = json.loads((tmp_path / "delivery.json").read_text())
    assert kept["about"]["trouble"] == {}
    [measured] = kept["rounds"]
    for name in ("source", "sqlite", "postgresql", "tls", "mlmmj"):
        assert measured[f"{name}.cpu"] > 0
    protections = kept["about"]["protections"]
    assert protections.keys() == {"journal", "sealing", "suppression", "pacing"}
    assert all(protections.values())
    assert measured["calls.sent"] <= 1.1, "a body goes alone where nothing waits behind it"
    assert measured["calls.received"] <= 2.05


def test_a_figure_is_judged_by_its_median_and_what_was_not_measured_is_said():
    lines = figures.as_markdown(ROUNDS).splitlines()
    for line in (
        "CPU a message, SQLite, to smtp-source | 0.90 × | 1.20 × | 2.00 × | ≤ 1 × ✗ | ≤ 1.4 × ✓",
        "CPU a message, GNU Mailman 3 to ours | 120 × | 150 × | 200 × | ≥ 200 × ✗ | ≥ 120 × ✓",
        "Peak memory of a worker | 70.0 MB | 90.0 MB | 95.0 MB | ≤ 60 MB ✗ | ≤ 80 MB ✗",
        "CPU a message, PostgreSQL, to smtp-source | – | not measured | – | ≤ 1.25 × | ≤ 1.7 ×",
    ):
        assert f"| {line} |" in lines
