"""Real systemd as the first process of a Debian in a folder, in namespaces of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import pytest

from tests.production.debian import SURROUNDINGS
from tests.waiting import wait_until

MISSING = (
    "NOT TESTED: the units, as systemd runs them. It takes root, iproute2, and a kernel that allows"
    " namespaces and a cgroup (version 2) of its own"
)
IS_REQUIRED = os.environ.get("REQUIRE_SYSTEMD") == "1"
# Seconds that a start of systemd, or a script under it, may take beside other work.
PATIENCE = 120
UNSHARE = ("--mount", "--pid", "--uts", "--ipc", "--net", "--fork", "--kill-child")
ENTER = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--root", "--wd")
# It changes nothing of the machine below: neither the kernel's settings (of /sys and /proc/sys it
# can only read) nor the clock, and it loads no module.
KEPT_BACK = "-sys_module,-sys_time,-sys_rawio,-syslog,-wake_alarm,-block_suspend"
# Useless here; the first two would touch foreign things.
MASKED = ("systemd-remount-fs.service", "sys-fs-fuse-connections.mount", "ldconfig.service")
JOIN = 'echo 0 > "$2/cgroup.procs"; exec unshare --cgroup sh -ec "$3" sh "$1"'
BOOT = f"""
mount --make-rprivate / && mount --bind "$1" "$1" && cd "$1"
mount -t proc proc proc && mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys && mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for each in null zero full random urandom tty; do
  : > dev/$each && mount --bind /dev/$each dev/$each
done
mkdir dev/shm dev/pts dev/mqueue dev/hugepages
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts && ln -s pts/ptmx dev/ptmx
mount -t mqueue mqueue dev/mqueue && ln -s /proc/self/fd dev/fd
for each in dev/shm dev/hugepages tmp; do mount -t tmpfs tmpfs $each; done
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p run/systemd/system
for each in {" ".join(MASKED)}; do ln -s /dev/null run/systemd/system/$each; done
ip link set lo up
pivot_root . mnt && umount -l /mnt
exec env -i container=belong-test setpriv --bounding-set={KEPT_BACK} \\
  /lib/systemd/systemd --unit=multi-user.target --log-target=console --show-status=no
"""

# Says of every name at once that there is none (RCODE 3 of RFC 1035): nobody else answers there.
NO_NAMES = """
echo nameserver 127.0.0.1 > /etc/resolv.conf
systemd-run --quiet --unit=no-names python3 -c '
import socket
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.bind(("127.0.0.1", 53))
while True:
    asked, who = here.recvfrom(4096)
    here.sendto(asked[:2] + bytes([0x81, 0x83]) + asked[4:], who)
'
"""


class Booted:
    """A Debian that systemd runs."""

    def __init__(self, first: int) -> None:
        self._first = first

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script as root of it, as a shell that ends at the first failure."""
        return subprocess.run(
            ["nsenter", f"--target={self._first}", *ENTER, "sh", "-eux"],
            input=script, env=SURROUNDINGS, check=False, capture_output=True, text=True,
            timeout=PATIENCE, start_new_session=True,  # `kill 0` there must not end the tests
        )  # fmt: skip

    def must(self, script: str) -> str:
        """Run a script that must not fail; return what it writes."""
        done = self.run(script)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def booted(root: Path) -> Iterator[Booted]:
    """Start systemd there; whatever happens, no process, mount or cgroup of it is left."""
    with _cgroup() as group, (root.parent / "systemd.log").open("w+b") as log:
        unshare = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", *UNSHARE, "sh", "-ec", JOIN, "sh",
             root, group, BOOT],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            words = Path(log.name).read_text
            wait_until(lambda: _runs_systemd(unshare), words, PATIENCE)
            machine = Booted(_first(unshare))
            machine.must("systemctl is-system-running --wait" + NO_NAMES)
            yield machine
        finally:
            unshare.kill()
            unshare.wait()


def _first(unshare: subprocess.Popen[bytes]) -> int:
    """Return the process that is the first in there, by its number out here."""
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split()
    return int(children[0]) if children else 0


def _runs_systemd(unshare: subprocess.Popen[bytes]) -> bool:
    """Tell whether it is past what mounts its machine, and listens."""
    process = Path(f"/proc/{_first(unshare)}")
    with suppress(OSError):
        listens = (process / "root/run/systemd/private").is_socket()
        return listens and (process / "comm").read_text() == "systemd\n"
    return False


@contextmanager
def _cgroup() -> Iterator[Path]:
    """Make a cgroup; in the end kill what is in it and below, and remove it."""
    above = _cgroups()
    if above is None or os.geteuid() or not shutil.which("ip") or not _may_unshare():
        _leave_out()
    group = above / f"belong-systemd-{os.getpid()}"
    try:
        group.mkdir(exist_ok=True)  # one whose test was killed may be there, empty
    except OSError:
        _leave_out()
    try:
        yield group
    finally:
        if (group / "cgroup.kill").exists():  # older kernels than 5.14 end all with the first
            (group / "cgroup.kill").write_text("1")
        wait_until(lambda: "populated 0" in (group / "cgroup.events").read_text())
        for folder, _, _ in os.walk(group, topdown=False):
            Path(folder).rmdir()


def _cgroups() -> Path | None:
    """Return where the cgroups of version 2 are, if they are anywhere."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    return None


def _may_unshare() -> bool:
    """Tell whether this root may have namespaces and mounts; one in a container often may not."""
    command = ["unshare", *UNSHARE, "--cgroup", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _leave_out() -> NoReturn:
    (pytest.fail if IS_REQUIRED else pytest.skip)(MISSING)
