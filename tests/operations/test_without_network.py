"""A run without networks of its own says loudly what it did not test, or fails if that must be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT
from tests.servers.network import MISSING


@pytest.mark.parametrize(("required", "outcome"), [("", "Skipped"), ("1", "Failed")])
def test_it_is_said_loudly_or_fails_where_networks_are_required(
    tmp_path: Path, required: str, outcome: str
) -> None:
    env = os.environ | {"PATH": str(tmp_path), "REQUIRE_NETWORK": required}
    ask = "from tests.servers.network import require; require()"
    done = subprocess.run(
        [sys.executable, "-c", ask], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == f"{outcome}: {MISSING}"
