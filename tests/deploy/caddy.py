"""The other TLS proxy: Debian's Caddy, with the Caddyfile that we ship, before any upstream."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.programs import program
from tests.processes import ROOT
from tests.servers.ports import free_port
from tests.servers.tls import Authority
from tests.waiting import daemon

FILE = ROOT / "deploy" / "Caddyfile"
SITE = "{$BELONG_BASE_URL:https://belong.example.org} {\n"


@dataclass(frozen=True)
class Caddy:
    port: int
    plain_port: int
    log: Path


@contextmanager
def running(folder: Path, authority: Authority, upstream: int) -> Iterator[Caddy]:
    """Start it before a port of this machine, with a certificate in place of a public one."""
    caddy = Caddy(free_port(), free_port(), folder / "caddy.log")
    pair = shutil.copy(authority.leaf(), folder / "pair.pem")
    text = FILE.read_text().replace(
        "{\n\tadmin off",
        f"{{\n\thttp_port {caddy.plain_port}\n\thttps_port {caddy.port}\n\tadmin off",
    )
    ours = f"https://localhost:{caddy.port} {{\n\ttls {pair} {pair}\n"
    (folder / "Caddyfile").write_text(text.replace(SITE, ours))
    command = program("caddy"), "run", "--config", folder / "Caddyfile"
    env = {"HOME": str(folder), "BELONG_UPSTREAM": f"127.0.0.1:{upstream}"}
    with daemon(*command, ports=(caddy.port, caddy.plain_port), log=caddy.log, env=env):
        yield caddy
