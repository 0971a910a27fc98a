"""Switch off each guard in turn, in a copy of the project, and expect the suite to turn red."""

import sys

from tests.guards.sabotage import copied_checkout, read_catalog, run, trial

# Where the suite has just been green: it is not run without a sabotage first.
IS_GREEN = "--green"


def main(arguments: list[str]) -> int:
    """Try the named sabotages, or all; return how many went unnoticed."""
    names = [each for each in arguments if each != IS_GREEN]
    catalog = read_catalog()
    unknown = set(names) - {each.name for each in catalog}
    if unknown:
        sys.stderr.write(f"There is no guard {', '.join(sorted(unknown))}.\n")
        return 2
    chosen = [each for each in catalog if not names or each.name in names]
    missed = 0
    with copied_checkout() as root:
        tests = tuple(sorted({test for each in chosen for test in each.tests}))
        sound = None if IS_GREEN in arguments else run(root, tests)
        if sound is not None and sound.returncode != 0:
            sys.stderr.write(f"{sound.stdout}\nThe suite is red without any sabotage.\n")
            return 2
        for each in chosen:
            outcome = trial(root, each)
            missed += outcome != "red"
            sys.stdout.write(f"{each.name:32} {outcome}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - missed} of {len(chosen)} guards are watched.\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
