"""Hosts of ours on one switch: each has a name, an identity, an address and a cable to pull.

They are network namespaces of Linux. A host off the cable hears nothing, and no answer says so:
packets are lost as they are between machines.
"""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

# Addresses that providers use between themselves (RFC 6598), so no host of ours is on them.
FIRST = IPv4Address("100.64.0.0")
NETWORKS = 2**14
WIDTH = 256
# Give a process its host's name, and its host's identity to whoever reads those files.
ENTER = """\
hostname "$1"
mount --bind "$2" /proc/sys/kernel/random/boot_id
[ ! -e /etc/machine-id ] || mount --bind "$3" /etc/machine-id
shift 3
exec "$@"
"""


@dataclass(frozen=True)
class Host:
    """A machine: what is run by its command has its name, its files of identity and its network."""

    name: str
    namespace: str
    port: str
    address: str
    folder: Path

    def command(self, *words: str) -> list[str]:
        """Return what runs a command on this host, as one process."""
        identity = str(self.folder / "boot_id"), str(self.folder / "machine-id")
        enter = ["unshare", "--uts", "sh", "-c", ENTER, "sh", self.name, *identity]
        return ["ip", "netns", "exec", self.namespace, *enter, *words]

    def cut(self) -> None:
        """Pull the cable."""
        _ip(f"link set {self.port} down")

    def mend(self) -> None:
        """Put the cable back."""
        _ip(f"link set {self.port} up")


@dataclass
class Switch:
    """The switch that joins the hosts, and this process with them."""

    folder: Path
    name: str
    base: IPv4Address
    hosts: list[Host] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Return the address of this process on it."""
        return str(self.base + 1)

    def host(self, name: str) -> Host:
        """Add a host."""
        number = len(self.hosts) + 2
        folder = self.folder / name
        folder.mkdir()
        (folder / "boot_id").write_text(f"{secrets.token_hex(4)}-0000\n")
        (folder / "machine-id").write_text(f"{secrets.token_hex(16)}\n")
        namespace, port = f"{self.name}-{name}", f"{self.name}p{number}"
        made = Host(name, namespace, port, str(self.base + number), folder)
        self.hosts.append(made)
        for line in (
            f"netns add {namespace}",
            f"link add {port} type veth peer name cable netns {namespace}",
            f"link set {port} master {self.name}",
            f"link set {port} up",
            f"-n {namespace} address add {made.address}/24 dev cable",
            f"-n {namespace} link set lo up",
            f"-n {namespace} link set cable up",
        ):
            _ip(line)
        return made


@contextmanager
def switch(folder: Path) -> Iterator[Switch]:
    """Have a switch, to which hosts can be added; they go with it."""
    base = FIRST + WIDTH * secrets.randbelow(NETWORKS)
    made = Switch(folder, f"b{secrets.token_hex(3)}", base)
    _ip(f"link add {made.name} type bridge")
    try:
        _ip(f"address add {made.address}/24 dev {made.name}")
        _ip(f"link set {made.name} up")
        yield made
    finally:
        for each in made.hosts:
            if Path("/run/netns", each.namespace).exists():
                _ip(f"netns delete {each.namespace}")
        _ip(f"link delete {made.name}")


def _ip(line: str) -> None:
    subprocess.run(["ip", *line.split()], check=True, capture_output=True)
