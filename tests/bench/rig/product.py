"""Belong Mail as an operator drives it: by its commands, with the settings it ships with."""

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import create_engine, func, make_url, select, text, update
from sqlalchemy.engine import Engine

from belong_mail.core import encryption
from belong_mail.core.encryption import WRAPPED
from belong_mail.delivery.models import Delivery, State
from belong_mail.members.models import Subscription
from tests.bench.rig import child
from tests.processes import flask, run, surroundings
from tests.waiting import wait_until

GROUP = "asian"
SUBJECT = "What the spring brings"
# Members who are suppressed after an issue is released: they must get nothing.
BARRED = 1
# The copy of each issue for the office's inbox; as shipped.
COPIES = 1
# The only settings that the bench gives; all others are as shipped.
NOT_SHIPPED = {
    "BELONG_DATABASE_URL", "BELONG_SMTP_URL", "BELONG_STATE_FOLDER",
    *(f"BELONG_{kind.upper()}_KEYS" for kind in encryption.KINDS),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sent:
    """A worker's use for one issue, its start-up taken off."""

    messages: int
    # Seconds of CPU, all in all.
    cpu: float
    seconds: float
    # Octets; of the whole worker, start-up included.
    peak: int

    @classmethod
    def of(cls, messages: int, busy: child.Cost, idle: child.Cost) -> "Sent":
        """Take what a run without work used off a run with so many messages."""
        cpu, seconds = busy.cpu - idle.cpu, busy.seconds - idle.seconds
        return cls(messages, max(cpu, 1e-9), max(seconds, 1e-9), busy.peak)

    @property
    def cpu_each(self) -> float:
        return self.cpu / self.messages

    @property
    def rate(self) -> float:
        return self.messages / self.seconds


@dataclass
class House:
    """An instance with members, of which each measurement gets a fresh copy."""

    members: int
    folder: Path
    database_url: str
    secrets: dict[str, str]
    smtp_url: str = "mailbox:"
    # Files that a worker kept in its state folder while it ran.
    files: set[str] = field(default_factory=set)
    is_barred_left_out: bool = False

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def settings(self) -> dict[str, str]:
        given = {
            "BELONG_DATABASE_URL": self.database_url,
            "BELONG_SMTP_URL": self.smtp_url,
            "BELONG_STATE_FOLDER": str(self.state),
            **self.secrets,
        }
        if given.keys() != NOT_SHIPPED:
            raise child.Failed("The bench sends with the settings that are shipped.")
        return given

    def env(self) -> dict[str, str]:
        return surroundings(self.settings)

    def command(self, *arguments: str, limit: float = 1800.0) -> child.Cost:
        """Run a command of the product to its good end, in a fresh process, and measure it."""
        return child.run(flask(*arguments), self.env(), limit=limit, look=self._look)

    def tell(self, *arguments: str) -> str:
        """Run a command that nobody measures, in a forked process; return what it says."""
        done = run(self.settings, *arguments, seconds=1800)
        if done.returncode:
            raise child.Failed(f"{arguments} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def queue(self, issue: Path) -> str:
        words = (GROUP, str(issue), "--subject", SUBJECT, "--json")
        return str(json.loads(self.tell("newsletter", "send", *words))["id"])

    def send(self, issue: Path, times: int = 1) -> Sent:
        """Send an issue so often by one worker and measure that; its books must be right."""
        idle = self.command("worker", "--drain")
        queued = [self.queue(issue) for _ in range(times)]
        self._bar()
        busy = self.command("worker", "--drain", limit=7200.0)
        for each in queued:
            self.check_books(each)
        messages = times * (self.members - BARRED + COPIES)
        return Sent.of(messages, busy, idle)

    def check_books(self, queued: str) -> None:
        """Raise unless every member but the barred one has been sent one copy."""
        books = json.loads(self.tell("newsletter", "report", queued, "--json"))
        # Barred before their chunk is planned, or before it is claimed.
        spared = books["withdrawn"] + books["suppressed"]
        found = (books["recipients"] - spared, books["accepted"], books["resent"])
        wanted = self.members - BARRED
        if found != (wanted, wanted, 0) or spared > BARRED:
            raise child.Failed(f"The books are not right: {books}")
        self.is_barred_left_out = True

    def defaults(self) -> dict[str, bool]:
        """Tell which of the costly protections were at work while this house sent."""
        with engine_of(self.database_url) as engine, engine.connect() as connection:
            address = connection.scalar(select(Subscription.wrapped_address).limit(1)) or b""
        return {
            "journal": any("journal" in name for name in self.files),
            "sealing": address.startswith(WRAPPED) and b"@example.org" not in address,
            "suppression": self.is_barred_left_out,
            "pacing": not {"BELONG_SEND_RATE", "BELONG_DAILY_QUOTA"} & self.settings.keys(),
        }

    def wait_until_sending(self) -> None:
        accepted = select(Delivery.id).where(Delivery.state == State.ACCEPTED).limit(1)
        with engine_of(self.database_url) as engine, engine.connect() as connection:
            looking = connection.execution_options(isolation_level="AUTOCOMMIT")
            wait_until(lambda: looking.scalar(accepted) is not None, seconds=120.0)

    def _bar(self) -> None:
        """Bar the last member from all mail, as the worker does on their request."""
        with engine_of(self.database_url) as engine, engine.begin() as connection:
            last = select(func.max(Subscription.id)).scalar_subquery()
            bar = update(Subscription).where(Subscription.id == last)
            connection.execute(bar.values(is_suppressed=True))

    def _look(self) -> None:
        for file in self.state.rglob("*"):
            self.files.add(str(file.relative_to(self.state)))


def build(members: int, folder: Path, database_url) -> House:
    made = encryption.new_keys()
    given = {f"BELONG_{kind.upper()}_KEYS": made[kind] for kind in encryption.KINDS}
    house = House(members, folder, database_url, given)
    house.tell("db", "upgrade", "--seed", "dps")
    house.tell("demo", "--group", GROUP, "--members", str(members))
    if database_url.startswith("sqlite"):
        # A forked process leaves in SQLite's log what a copy of the one file would lack.
        with engine_of(database_url) as engine, engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return house


@contextmanager
def copy(house, folder: Path, smtp_url: str) -> Iterator[House]:
    """Yield a house with the same members and nothing sent yet; it is removed in the end."""
    place = folder / f"house-{secrets.token_hex(4)}"
    place.mkdir(parents=True)
    made = _copy_sqlite if house.database_url.startswith("sqlite") else _copy_postgresql
    try:
        with made(house, place) as database_url:
            yield House(house.members, place, database_url, house.secrets, smtp_url)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def engine_of(database_url) -> Iterator[Engine]:
    engine = create_engine(database_url)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _copy_sqlite(house, place: Path) -> Iterator[str]:
    file = place / "belong.db"
    shutil.copyfile(str(make_url(house.database_url).database), file)
    yield f"sqlite:///{file}"


@contextmanager
def _copy_postgresql(house, place: Path) -> Iterator[str]:
    url = make_url(house.database_url)
    name = place.name.replace("-", "_")
    server = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {url.database}"))
        yield url.set(database=name).render_as_string(hide_password=False)
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        server.dispose()
