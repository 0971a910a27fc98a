"""Two webs and two workers on one database: what fails in the middle of an issue costs nothing.

`SCALE` says to how many the issue goes: 100,000 at night, and little within the suite.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.markers import night
from tests.scale.audit import (
    RECOVERY_SECONDS,
    Troubles,
    answers_faults,
    copies_faults,
    joins_faults,
    stuck,
)
from tests.scale.fleet import Fleet, fleet
from tests.scale.visitors import Crowd, visitors
from tests.servers.network import require

MEMBERS = int(os.environ.get("SCALE", "1500"))
# Within the suite the host that was killed is back before its lease ends; at night it is not.
IS_NIGHT = MEMBERS >= 20_000
# Messages a minute: the issue takes some minutes, so that all happens in the middle of it.
RATE = max(1_500, MEMBERS // 4)
# Seconds: a lease, and the look of another worker for those that have ended.
LEASE_SECONDS, LOOK_SECONDS = 60.0, 10.0
AGAIN_SECONDS = 5
HELD = "SELECT count(*) FROM deliveries WHERE state = 'sending' AND claimed_by = :owner"
OWNERS = "SELECT owner FROM leases"

pytestmark = [night("several hosts"), pytest.mark.timeout(600 + MEMBERS // 50)]


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Fleet]:
    require()
    given = {"BELONG_SEND_RATE": str(RATE), "BELONG_UNCERTAIN": f"{AGAIN_SECONDS}s"}
    with fleet(tmp_path, MEMBERS, given) as made:
        yield made
        sys.stdout.write("\n".join([*made.told, ""]))


def test_hosts_that_die_or_are_cut_off_in_the_middle_of_an_issue_lose_and_double_nothing(machines):
    """Each member got the issue, the report is true, and whoever joined meanwhile is a member."""
    troubles = Troubles()
    issue = machines.queue()
    with visitors(machines) as crowd:
        machines.wait_for_copies(MEMBERS // 10, 120)
        lose_first(machines, troubles)
        machines.wait_for_copies(max(MEMBERS * 4 // 10, machines.copies() + 20), 300)
        restart_database(machines, troubles)
        machines.wait_for_copies(max(MEMBERS // 2, machines.copies() + 20), 300)
        cut_second(machines, troubles)
        finish(machines, issue)
        time.sleep(RECOVERY_SECONDS)
    crowd.confirm_all(120)
    machines.wait(lambda: not stuck(machines), 120, "rest")
    for worker in machines.workers:
        worker.end()
    tell(machines, crowd)
    wrong = copies_faults(machines, issue, MEMBERS) + stuck(machines)
    wrong += joins_faults(machines, crowd) + answers_faults(crowd, troubles)
    assert wrong == [], machines


def lose_first(machines: Fleet, troubles: Troubles) -> None:
    """Let the first web’s and the first worker’s host lose their power, and come back later."""
    worker, web = machines.workers[0], machines.webs[0]
    owners = set(machines.rows(OWNERS))
    worker.kill()
    web.kill()
    killed_at = machines.tell("web1 and worker1 are killed")
    owner = lost_owner(machines, owners)
    if IS_NIGHT:
        wait_for_takeover(machines, owner, "worker1", killed_at)
    worker.start()
    web.start()
    wait_for_takeover(machines, owner, "worker1", killed_at)
    back_at = machines.tell("web1 and worker1 are back")
    troubles.add(web.host.name, killed_at, back_at)


def lost_owner(machines: Fleet, owners: set[tuple[object, ...]]) -> str:
    """Name the worker that renews its lease no more: its boot is that of the first host."""
    boot = (machines.workers[0].host.folder / "boot_id").read_text()[:8]
    [owner] = [str(each) for (each,) in owners if str(each).startswith(boot)]
    return owner


def wait_for_takeover(machines: Fleet, owner: str, name: str, since: float) -> None:
    """Wait until nothing is claimed by a worker that is gone, for as long as is documented."""
    gone = "SELECT count(*) FROM leases WHERE owner = :owner"
    left = LEASE_SECONDS + LOOK_SECONDS - (time.time() - since)

    def is_over() -> bool:
        both = machines.count(gone, owner=owner) + machines.count(HELD, owner=owner)
        return both == 0

    machines.wait(is_over, max(left, 1.0), f"takeover of {name}")
    machines.tell(f"what {name} held was taken over after {time.time() - since:.1f} s")


def restart_database(machines: Fleet, troubles: Troubles) -> None:
    """End the server as a crash does, and start it again."""
    down_at = machines.tell("the database ends as in a crash")
    machines.database.stop("immediate")
    machines.database.start()
    up_at = machines.tell("the database is back")
    troubles.add("database", down_at, up_at)
    before = machines.copies()
    machines.wait(lambda: machines.copies() > before, 60, "copy after the restart")
    machines.tell(f"the next copy left {time.time() - up_at:.1f} s later")


def cut_second(machines: Fleet, troubles: Troubles) -> None:
    """Cut the second web’s and the second worker’s host off, until others have taken over."""
    worker, web = machines.workers[1], machines.webs[1]
    boot = (worker.host.folder / "boot_id").read_text()[:8]
    [owner] = [str(each) for (each,) in machines.rows(OWNERS) if str(each).startswith(boot)]
    worker.host.cut()
    web.host.cut()
    cut_at = machines.tell("web2 and worker2 are cut off")
    wait_for_takeover(machines, owner, "worker2", cut_at)
    worker.host.mend()
    web.host.mend()
    troubles.add(web.host.name, cut_at, machines.tell("web2 and worker2 are on the network again"))
    back = f"{OWNERS} WHERE owner LIKE '{boot}%'"
    machines.wait(lambda: bool(machines.rows(back)), 90, "work of worker2")
    machines.tell("worker2 works again")


def finish(machines: Fleet, issue: str) -> None:
    """Wait until every copy has left."""
    done = (
        "SELECT count(*) FROM deliveries d JOIN newsletters n ON n.id = d.newsletter_id"
        " WHERE n.public_id = :issue AND d.state = 'accepted'"
    )
    patience = 120 + MEMBERS / 100
    machines.wait(lambda: machines.count(done, issue=issue) >= MEMBERS, patience, "end")
    machines.tell("every delivery is accepted")


def tell(machines: Fleet, crowd: Crowd) -> None:
    joined, again = len(crowd.promised), crowd.again
    slow = max((each.seconds for each in crowd.seen if each.status), default=0)
    machines.tell(f"{joined} joined, {again} pressed again; the slowest page took {slow:.1f} s")
