"""Measures beside the CPU: the time to an issue's first message, and the system calls of each."""

import re
import time
from pathlib import Path

from tests.bench.rig import child, tools
from tests.processes import flask
from tests.waiting import wait_until

# Seconds after which a worker has nothing left to do but wait.
SETTLING = 2.0
LONGEST = 120.0
# A line of strace's table: share, seconds, microseconds each, calls, errors if any, name.
CALL = re.compile(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", re.MULTILINE)
SENDING, RECEIVING = ("sendto", "sendmsg", "sendmmsg"), ("recvfrom", "recvmsg")


def first_message(house, sink, issue: Path) -> float:
    """Return the seconds from when the command schedules an issue to the first message.

    The worker waits; it finds the issue, queues it and sends. The command’s start-up is left out.
    """
    with child.running(flask("worker"), house.env(), core=child.SENDER):
        wait_until(lambda: any((house.state / "workers").glob("*")), seconds=LONGEST)
        time.sleep(SETTLING)
        before = time.perf_counter()
        house.tell("group", "list")
        began = time.perf_counter()
        starting = began - before
        house.queue(issue)
        until = time.monotonic() + LONGEST
        while sink.taken() == 0:
            if time.monotonic() > until:
                raise child.Failed("No message came.")
            time.sleep(0.005)
        return max(0.0, time.perf_counter() - began - starting)


def calls(house, issue: Path, times: int) -> tuple[int, int]:
    """Return how often a worker sends and receives while it sends an issue so often, by strace."""
    strace = tools.program("usr/bin/strace")
    for _ in range(times):
        house.queue(issue)
    table = house.folder / "calls"
    watched = ",".join((*SENDING, *RECEIVING))
    command = [strace.path, "-f", "-c", "-o", str(table), "-e", f"trace={watched}"]
    child.run([*command, *flask("worker", "--drain")], house.env())
    counted = {name: int(number) for number, name in CALL.findall(table.read_text())}
    sent, received = (sum(counted.get(name, 0) for name in names) for names in (SENDING, RECEIVING))
    return sent, received
