"""Where mail goes: smtp-sink, plain, behind TLS, or behind a link that takes its time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.rig import child, tools
from tests.servers import link
from tests.servers.ports import free_port
from tests.servers.tls import Authority

CONNECTIONS = 10
STUNNEL = """\
foreground = yes
pid =
debug = 3
[sink]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{sink}
cert = {certificate}
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
"""


@dataclass(frozen=True, slots=True)
class Sink:
    """Takes all mail and forgets it."""

    port: int
    # A file to which it writes how much mail it has taken.
    count: Path
    # The value for BELONG_SMTP_URL.
    relay: str = "smtp://127.0.0.1:{port}?tls=none&connections={connections}"
    connections: int = CONNECTIONS

    @property
    def url(self) -> str:
        return self.relay.format(port=self.port, connections=self.connections)

    def taken(self) -> int:
        last = self.count.read_text().rpartition("mesg=")[2].strip()
        return int(last) if last.isdigit() else 0


@contextmanager
def plain(folder: Path, *, is_counting: bool = False) -> Iterator[Sink]:
    """Run smtp-sink; counting costs it a write for each message, so it is off by default."""
    program = tools.program("usr/sbin/smtp-sink")
    port, count = free_port(), folder / "taken"
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    counting = ["-c"] if is_counting else []
    count.write_bytes(b"")
    command = [program.path, *counting, *user, f"127.0.0.1:{port}", "1024"]
    env = program.environment()
    with child.running(command, env, core=child.SINK, ports=(port,), log=count):
        yield Sink(port, count)


@contextmanager
def behind_tls(sink, folder: Path) -> Iterator[Sink]:
    """Put TLS in front of a sink, with a certificate of a new authority."""
    program = tools.program("usr/bin/stunnel4")
    authority, port = Authority.make(folder), free_port()
    settings = folder / "stunnel.conf"
    authority.server()
    [certificate] = set(folder.glob("*.pem")) - {authority.file}
    settings.write_text(STUNNEL.format(port=port, sink=sink.port, certificate=certificate))
    relay = f"smtps://localhost:{{port}}?ca={authority.file}&connections={{connections}}"
    command, env = [program.path, str(settings)], program.environment()
    with child.running(command, env, core=child.SINK, ports=(port,)):
        yield Sink(port, sink.count, relay)


@contextmanager
def far_away(sink, round_trip: float) -> Iterator[Sink]:
    """Put a link in front of a sink that takes so many seconds there and back."""
    port = free_port()
    command = link.command(port, str(sink.port), round_trip)
    with child.running(command, os.environ, core=child.SINK, ports=(port,)):
        yield Sink(port, sink.count)
