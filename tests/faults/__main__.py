"""As many kills as wanted, at random moments: `python -m tests.faults N [--seed S] …`."""

import argparse
import os
import subprocess
import sys


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("kills", type=int, help="half of them on each database")
    parser.add_argument("--seed", type=int, help="to make the same choices again")
    parser.add_argument("--only", choices=["sqlite", "postgresql"], default="")
    given = parser.parse_args()
    os.environ["KILLS"] = str(given.kills)
    if given.seed is not None:
        os.environ["SEED"] = str(given.seed)
    storm = "tests/faults/test_storm.py"
    pytest = [sys.executable, "-m", "pytest", storm, "-s", "-n", "0", "--night", "-k", given.only]
    return subprocess.run(pytest, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
