"""The bench of delivery runs and counts right; no test looks at a time."""

import json
import subprocess
import sys

import pytest

from tests.bench.rig import tools
from tests.markers import night
from tests.processes import ROOT

BENCH = (sys.executable, "-m", "tests.bench.delivery", "--quick", "--rounds", "1", "--only")
# The parts of a quick round that need nothing from a network.
NEEDED = "core,calls"


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
    for name in ("source", "sqlite", "postgresql", "tls"):
        assert measured[f"{name}.cpu"] > 0
    protections = kept["about"]["protections"]
    assert protections.keys() == {"journal", "sealing", "suppression", "pacing"}
    assert all(protections.values())
    assert measured["calls.sent"] <= 1.1, "a body goes alone where nothing waits behind it"
    assert measured["calls.received"] <= 2.05
