"""A disk that fails at any write or sync: nothing taken is lost."""

import os
import re
from pathlib import Path

import pytest

from tests.faults.disk.library import COMPILER, build, run
from tests.markers import night

pytestmark = pytest.mark.skipif(
    COMPILER is None and "CI" not in os.environ,
    reason="NOT TESTED: there is no C compiler, so no disk that fails",
)
# Every so many calls, one fails.
EACH_SO_MANY = 11


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("library"))


@night("disks that fail")
@pytest.mark.timeout(420)
def test_a_failing_write_or_sync_loses_no_accepted_data_and_hides_no_copy(library, tmp_path):
    ended = run(library, str(tmp_path), str(EACH_SO_MANY))
    assert ended.returncode == 0, ended.stderr[-3000:]
    *findings, once, for_good = ended.stdout.splitlines()
    assert findings == []
    for summary in (once, for_good):
        [calls] = re.findall(r"^E\w+: (\d+) calls$", summary)
        assert int(calls) > 100, "the disk was written to, and calls were counted"
