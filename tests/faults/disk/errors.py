"""Run joinings and an issue over and over, each time with another write or sync that fails."""

import errno
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

from tests.faults.disk.library import Disk
from tests.faults.disk.site import Site
from tests.servers.smtp import Server

VISITORS = ("ada@dpsk12.org", "bob@dpsk12.org")
FAULTS = ((errno.EIO, False), (errno.ENOSPC, True))


def main(folder: Path, step: int) -> None:
    """Print what is wrong, a line a finding, then how many faults were tried."""
    with Server() as relay:
        site = Site(folder, relay)
        disk = Disk(site.file)
        for error, for_good in FAULTS:
            number, is_reached = 1, True
            while is_reached:
                site.put_back()
                disk.fail(number, error, for_good=for_good)
                taken = act(site)
                is_reached = disk.heal() >= number
                where = f"{errno.errorcode[error]} at call {number}"
                sys.stdout.writelines(f"{where}: {each}\n" for each in wrong(site, taken))
                number += step
            sys.stdout.write(f"{errno.errorcode[error]}: {number - step} calls\n")


def act(site) -> Counter[str]:
    """Let two people ask to join, and workers do what is due; count what was said to be taken."""
    taken: Counter[str] = Counter()
    for visitor in VISITORS:
        taken[visitor] += site.join(visitor)
        site.work()
    return taken


def wrong(site, taken: Counter[str]) -> list[str]:
    """Audit what became of it, once the disk is well and all that waited has had its time."""
    for _ in range(3):
        site.scene.pass_time()
        site.end_leases()
        site.work()
    got = Counter(copy.recipient for copy in site.scene.copies())
    found = [f"{each} was taken and got no email" for each in taken if taken[each] > got[each]]
    found += [f"{each} got {got[each]} emails" for each in taken if got[each] > 1]
    taken_by = site.scene.relay.accepted
    taken_by[:] = [each for each in taken_by if each.recipient not in VISITORS]
    found += site.scene.complaints(site.issue)
    with closing(sqlite3.connect(site.file)) as connection:
        [(sound,)] = connection.execute("PRAGMA integrity_check").fetchall()
    return found if sound == "ok" else [*found, f"damaged: {sound}"]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
