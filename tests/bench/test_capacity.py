"""The bench of capacity runs, and its page says what was measured; no test looks at a time."""

import json
import subprocess
import sys

import pytest

from tests.bench.rig import capacity_page, tools
from tests.markers import night
from tests.processes import ROOT

LITTLE = ("--sizes", "200", "--requests", "80", "--rest", "3", "--only", "postgresql")
# Every run must have measured these.
MEASURED = {"worker_s", "delivery_octets", "purged_octets", "page.web_ms", "form.web_ms", "read"}


@night("benches")
@pytest.mark.timeout(600)
def test_a_little_run_measures_email_pages_forms_rest_and_retention(tmp_path):
    """The bench itself insists on right books, and on answers that were as they must be."""
    tools.require("usr/sbin/smtp-sink")
    words = (sys.executable, "-m", "tests.bench.capacity", *LITTLE)
    done = subprocess.run(
        [*words, "--folder", str(tmp_path)], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [row] = json.loads((tmp_path / "capacity.json").read_text())["rows"]
    assert (row["database"], row["members"]) == ("postgresql", 200)
    assert all(row[name] > 0 for name in MEASURED)
    assert row["database_s"] > 0
    table = capacity_page.as_markdown([row])
    assert table.count("\n") == len(capacity_page.LINES) + 1


def test_what_was_not_measured_is_a_dash():
    table = capacity_page.as_markdown([{"database": "sqlite", "members": 10}])
    assert all(line.endswith("| – |") for line in table.splitlines()[2:])
