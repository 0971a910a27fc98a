"""Two web hosts and two worker hosts on one PostgreSQL, with a relay: real processes of each."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from belong_mail.core import encryption
from belong_mail.core.decryption import Keyring, worker_keys
from belong_mail.ops.demo_data import add_members
from tests.district_names import NAMED
from tests.factories import group_named
from tests.processes import ROOT, flask, surroundings
from tests.scale.database import OWNER, WEB, Database, database
from tests.scale.hosts import Host, Switch, switch
from tests.servers.ledger import MESSAGE_ID
from tests.servers.smtp import Server
from tests.servers.tls import Authority
from tests.waiting import listens, wait_until

GROUP = "asian"
BASE_URL = NAMED["BELONG_BASE_URL"]
WEB_PORT = 5000
# Email to them is kept whole, for their links; members of the issue are at another domain.
STAFF = "@dpsk12.org"
# Seconds for a process to start, and to end when it is told to.
STARTING, ENDING = 60.0, 30.0
LETTER = ROOT / "tests" / "bench" / "rig" / "letter.md"
WORKER_ALONE = "BELONG_PRIVATE_KEYS", "BELONG_INDEX_KEYS"


class Relay(Server):
    """Is on the switch beside the hosts, and stays."""

    def __init__(self, address: str, authority: Authority) -> None:
        super().__init__(tls="implicit", context=authority.server(hosts=(address,)))
        self._listener.close()
        self._listener = socket.create_server((address, 0), backlog=128)
        self.port = self._listener.getsockname()[1]

    def take(self, return_path: str, recipient: str, data: bytes, *, is_answered: bool) -> None:
        """Keep the Message-ID of a newsletter alone: there are very many."""
        if not recipient.endswith(STAFF):
            found = MESSAGE_ID.search(data)
            data = found[0] if found else b""
        super().take(return_path, recipient, data, is_answered=is_answered)


@dataclass
class Machine:
    """A host and the one service that it runs."""

    host: Host
    words: tuple[str, ...]
    settings: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def log(self) -> str:
        file = self.host.folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def start(self) -> None:
        with (self.host.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.host.command(*self.words), cwd=ROOT, env=surroundings(self.settings),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """End all that it runs at once, as a machine does that loses its power."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def end(self) -> None:
        """Tell its service to end, and wait until it has ended well."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(ENDING)
        assert code == 0, (self.host.name, code, self.log[-2000:])
        self.process = None

    def tell(self, *arguments: str) -> str:
        """Run a command of the product on this host; return what it says."""
        done = subprocess.run(
            self.host.command(*flask(*arguments)), cwd=ROOT, env=surroundings(self.settings),
            check=False, capture_output=True, text=True, timeout=1800,
        )  # fmt: skip
        assert done.returncode == 0, (self.host.name, arguments, done.stdout, done.stderr[-2000:])
        return done.stdout


@dataclass
class Fleet:
    """The machines, in pairs; the first worker's host is where the operator sits."""

    database: Database
    relay: Relay
    webs: list[Machine]
    workers: list[Machine]
    engine: Engine
    keys: dict[str, str]
    # Events and their moments, for the reader of a failure.
    told: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.time)

    @property
    def keyring(self) -> Keyring:
        private, index = (self.keys[name] for name in WORKER_ALONE)
        return Keyring(*worker_keys((private,), (index,)))

    def tell(self, words: str) -> float:
        """Note what happens now; return the time."""
        at = time.time()
        self.told.append(f"{at - self.began:7.1f} s  {words}")
        return at

    def queue(self) -> str:
        """Queue a newsletter to all members; return its id."""
        words = GROUP, str(LETTER), "--subject", "What the spring brings", "--json"
        return str(json.loads(self.workers[0].tell("newsletter", "send", *words))["id"])

    def report(self, issue: str) -> dict[str, int]:
        """Read the issue's report, as an operator does."""
        said = self.workers[0].tell("newsletter", "report", issue, "--json")
        counts: dict[str, int] = json.loads(said)
        return counts

    def rows(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        with self.engine.connect() as connection:
            return [tuple(each) for each in connection.execute(text(statement), values)]

    def count(self, statement: str, **values: object) -> int:
        [(number,)] = self.rows(statement, **values)
        return int(str(number))

    def copies(self) -> int:
        return len(self.relay.accepted)

    def wait_for_copies(self, number: int, seconds: float) -> None:
        self.wait(lambda: self.copies() >= number, seconds, f"{number} copies")

    def wait(self, is_so: Callable[[], bool], seconds: float, what: str) -> None:
        """Ask for something five times a second: it counts in large tables."""
        until = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < until, f"No {what} in {seconds} s. {self}"
            time.sleep(0.2)

    def __str__(self) -> str:
        logs = [f"-- {each.host.name}:\n{each.log[-1500:]}" for each in (*self.webs, *self.workers)]
        return "\n".join(["", *self.told, f"{self.copies()} copies", *logs])


@contextmanager
def fleet(folder: Path, members: int, given: Mapping[str, str]) -> Iterator[Fleet]:
    """Run two webs, and two workers that have met the database, with so many members."""
    with ExitStack() as stack:
        net = stack.enter_context(switch(folder))
        server = stack.enter_context(database(net.host("database")))
        keys = _keys()
        authority = Authority.make(folder)
        relay = stack.enter_context(Relay(net.address, authority))
        url = f"smtps://{net.address}:{relay.port}?ca={authority.file}&timeout=20&dot_timeout=20"
        mail = {"BELONG_SMTP_URL": url, "BELONG_COPY_TO_OFFICE": "no"}
        shared = NAMED | keys | mail | dict(given)
        workers = [_worker(net, f"worker{n}", shared, server) for n in (1, 2)]
        webs = [_web(net, f"web{n}", shared, server) for n in (1, 2)]
        engine = create_engine(server.url(), pool_pre_ping=True)
        stack.callback(engine.dispose)
        made = Fleet(server, relay, webs, workers, engine, keys)
        for each in (*workers, *webs):
            stack.callback(each.kill)
        _begin(made, members)
        yield made


def _begin(made: Fleet, members: int) -> None:
    """Make the tables and the members, and start all services."""
    first, second = made.workers
    first.tell("db", "upgrade", "--seed", "dps")
    with Session(made.engine) as session, session.begin():
        add_members(session, made.keyring, group_named(session, GROUP), members)
    first.start()
    looked = "SELECT count(*) FROM hosts WHERE held_because IS NULL"
    made.wait(lambda: made.count(looked) == 1, STARTING, "first worker")
    second.tell("hold", "release")
    second.start()
    for web in made.webs:
        web.start()
        wait_until(partial(listens, WEB_PORT, web.host.address), made.__str__, STARTING)
    leases = "SELECT count(*) FROM hosts WHERE worked_at IS NOT NULL"
    made.wait(lambda: made.count(leases) == 2, STARTING, "second worker")
    made.tell(f"{members} members; two webs and two workers are up")


def _keys() -> dict[str, str]:
    made = encryption.new_keys()
    return {f"BELONG_{kind.upper()}_KEYS": made[kind] for kind in encryption.KINDS}


def _worker(net: Switch, name: str, shared: Mapping[str, str], server: Database) -> Machine:
    host = net.host(name)
    own = {
        "BELONG_DATABASE_URL": server.url(OWNER),
        "BELONG_WEB_DATABASE_ROLE": WEB,
        "BELONG_STATE_FOLDER": str(host.folder / "state"),
    }
    return Machine(host, tuple(flask("worker")), {**shared, **own})


def _web(net: Switch, name: str, shared: Mapping[str, str], server: Database) -> Machine:
    host = net.host(name)
    known = {name: value for name, value in shared.items() if name not in WORKER_ALONE}
    own = {
        "BELONG_DATABASE_URL": server.url(WEB),
        "BELONG_PROXIES": "1",
        "BELONG_STATE_FOLDER": str(host.folder / "state"),
    }
    words = flask("web", "--host", host.address, "--port", str(WEB_PORT))
    return Machine(host, tuple(words), {**known, **own})
