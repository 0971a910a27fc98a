"""A network of ours: whatever is on the other machine is reached through a router that can drop it.

Both are network namespaces of Linux; the packets, their losses and their retransmissions are real.
"""

import ctypes
import os
import secrets
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from pathlib import Path
from typing import Self

import pytest

from tests.servers.tunnel import Tunnel

MISSING = "NOT TESTED: packets that get lost; network namespaces need root and iproute2"
IS_REQUIRED = os.environ.get("REQUIRE_NETWORK") == "1"
# The first address of those that are for measuring networks (RFC 2544): nobody else has them.
FIRST = IPv4Address("198.18.0.0")
NETWORKS = 2**14
WIDTH = 8
CLONE_NEWNET = 0x40000000


class Network:
    """Here, a router, and another machine: 1 and 2 are the ends of one cable, 5 and 6 of the other.

    Its name and addresses are drawn, so that two test processes have one each.
    """

    def __init__(self) -> None:
        name = secrets.token_hex(4)
        self._cable, self._router, self._machine = f"b{name}", f"b{name}-router", f"b{name}-machine"
        base = FIRST + WIDTH * secrets.randbelow(NETWORKS)
        self._here, self._near, self._gateway, self.there = (base + n for n in (1, 2, 5, 6))

    def __enter__(self) -> Self:
        cable, router, machine = self._cable, self._router, self._machine
        try:
            for line in (
                f"netns add {router}",
                f"netns add {machine}",
                f"link add {cable} type veth peer name near netns {router}",
                f"-n {router} link add far type veth peer name near netns {machine}",
                f"address add {self._here}/30 dev {cable}",
                f"-n {router} address add {self._near}/30 dev near",
                f"-n {router} address add {self._gateway}/30 dev far",
                f"-n {machine} address add {self.there}/30 dev near",
                f"link set {cable} up",
                f"-n {router} link set near up",
                f"-n {router} link set far up",
                f"-n {machine} link set near up",
                f"-n {machine} route add default via {self._gateway}",
                f"route add {self.there}/32 via {self._near}",
                f"netns exec {router} tee /proc/sys/net/ipv4/ip_forward",
            ):
                _ip(line)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in (self._router, self._machine):
            if Path("/run/netns", name).exists():
                _ip(f"netns delete {name}")

    def listen(self) -> socket.socket:
        """Open a port on the other machine: a socket stays where its thread was when it made it."""
        with ThreadPoolExecutor(1) as visitor:
            return visitor.submit(self._listen).result()

    def drop(self) -> None:
        """Let the router drop every packet, and say nothing of it."""
        self.drop_answers()
        _ip(f"-n {self._router} route add blackhole {self.there}/32")

    def drop_answers(self) -> None:
        """Let everything arrive at the other machine, and nothing come back."""
        _ip(f"-n {self._router} route add blackhole {self._here}/32")

    def carry(self) -> None:
        """Let packets pass again; both machines retransmit what they still have."""
        _ip(f"-n {self._router} route flush type blackhole")

    def _listen(self) -> socket.socket:
        with Path("/run/netns", self._machine).open() as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        return socket.create_server((str(self.there), 0))


class FarTunnel(Tunnel):
    """The way to a server on another machine: bytes are not kept back, packets are dropped.

    An end that `is_deaf` is heard, and hears nothing.
    """

    def __init__(self, url: str, network: Network, *, is_deaf: bool) -> None:
        super().__init__(url, network.listen())
        self._network = network
        self._swallow = network.drop_answers if is_deaf else network.drop

    def swallow(self) -> None:
        self._swallow()

    def carry(self) -> None:
        """Carry again, also what was sent meanwhile and is not given up."""
        self._network.carry()


def require() -> None:
    """Say loudly that a test needs namespaces, where there are none."""
    if shutil.which("ip") is not None and os.geteuid() == 0 and _may_unshare():
        return
    if IS_REQUIRED:
        pytest.fail(MISSING)
    pytest.skip(MISSING)


def _may_unshare() -> bool:
    """Tell whether this root may have namespaces; one in a container often may not."""
    tried = subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True)
    return tried.returncode == 0


def _ip(line: str) -> None:
    subprocess.run(["ip", *line.split()], input="1", text=True, check=True, capture_output=True)
