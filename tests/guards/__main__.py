"""Switch off each guard in turn, in a copy of the project, and expect the suite to turn red."""

import sys

from tests.guards.sabotage import copied_checkout, read_catalog, run, trial

# Where the suite has just been green: it is not run without a sabotage first.
IS_GREEN = "--green"


def main(arguments: list[str]) -> int:
    """Try the sabotages that have one of these words, or all; return how many went unnoticed."""
    words = [each for each in arguments if each != IS_GREEN]
    chosen = [each for each in read_catalog() if not words or any(w in str(each) for w in words)]
    missed = 0
    with copied_checkout() as root:
        tests = tuple(sorted({each.test for each in chosen}))
        sound = None if IS_GREEN in arguments else run(root, tests)
        if sound is not None and sound.returncode != 0:
            sys.stderr.write(f"{sound.stdout}\nThe suite is red without any sabotage.\n")
            return 2
        for each in chosen:
            outcome = trial(root, each)
            missed += outcome != "red"
            sys.stdout.write(f"{outcome}: {each}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - missed} of {len(chosen)} guards are watched.\n")
    return 0 if chosen and not missed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
