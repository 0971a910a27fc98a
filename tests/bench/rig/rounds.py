"""One round of everything, side by side: each part measures, the next comes at once after it."""

import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from tests.bench.rig import child, moments, product, requests, sinks, tools
from tests.bench.rig.letter import Letter, sent_by, write
from tests.bench.rig.product import House, Sent
from tests.servers.link import far_database

ROUND_TRIP = 0.02
# Milliseconds to the database and back.
AWAY = (0, 1, 5, 20, 100)
MEGABYTE = 1_000_000
MICRO, MILLI = 1e6, 1e3


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything."""

    messages: int
    few: int
    many: int
    far: int
    posts: int
    traced: int
    # The sink counts what it takes, and the number must be right; that costs it time.
    is_counting: bool = False

    @property
    def times_few(self) -> int:
        """How many issues to few members make as many messages."""
        return max(1, self.messages // self.few)


FULL = Plan(50_000, 10_000, 1_000_000, 2_000, 4_000, 2_000)
QUICK = Plan(200, 100, 400, 100, 20, 50, is_counting=True)


@dataclass
class Bench:
    """Shared by all rounds: the email, and a house for each number of members."""

    folder: Path
    plan: Plan
    letter: Letter
    postgresql_url: str = ""
    houses: dict[tuple[str, int], House] = field(default_factory=dict)
    protections: dict[str, bool] = field(default_factory=dict)

    def house(self, members: int, database: str = "sqlite") -> House:
        """Return the house with so many members; the first call builds it."""
        key = (database, members)
        if key not in self.houses:
            url = f"sqlite:///{self.folder / f'{members}.db'}"
            if database != "sqlite":
                url = self.postgresql_url
            self.houses[key] = product.build(members, self.folder / "building", url)
        return self.houses[key]

    @contextmanager
    def opened(
        self, members: int, database: str = "sqlite", *, is_counting: bool = False
    ) -> Iterator[tuple[House, sinks.Sink]]:
        """Yield a fresh copy of a house, and the sink that it sends to."""
        house = self.house(members, database)
        with ExitStack() as stack:
            sink = stack.enter_context(sinks.plain(self.folder, is_counting=is_counting))
            yield stack.enter_context(product.copy(house, self.folder, sink.url)), sink

    def sent(self, name: str, members: int, database: str = "sqlite", times: int = 1) -> "Measures":
        is_counting = self.plan.is_counting
        with self.opened(members, database, is_counting=is_counting) as (here, sink):
            sent = here.send(self.letter.issue, times)
            if is_counting and sink.taken() != sent.messages:
                raise child.Failed(f"{sink.taken()} of {sent.messages} messages arrived.")
            self.protections = here.defaults()
        return named(name, sent)


Measures = dict[str, float]
Part = Callable[[Bench], Measures]


def prepare(folder: Path, plan: Plan, postgresql_url: str) -> Bench:
    """Write the email that everybody sends."""
    small = product.build(1, folder / "building", f"sqlite:///{folder}/letter.db")
    letter = write(folder, sent_by(small))
    return Bench(folder, plan, letter, postgresql_url)


def named(name: str, sent: Sent) -> Measures:
    """Name what was measured: microseconds of CPU a message, messages a second, megabytes."""
    return {
        f"{name}.cpu": sent.cpu_each * MICRO,
        f"{name}.rate": sent.rate,
        f"{name}.peak": sent.peak / MEGABYTE,
    }


def core(bench) -> Measures:
    """Ours on both databases and over TLS, between two runs of smtp-source."""
    plan = bench.plan
    with sinks.plain(bench.folder) as sink:
        before = smtp_source(sink, bench.letter, plan.messages)
    measured = bench.sent("sqlite", plan.messages)
    measured |= bench.sent("postgresql", plan.messages, "postgresql")
    measured |= _over_tls(bench)
    with sinks.plain(bench.folder) as sink:
        after = smtp_source(sink, bench.letter, plan.messages)
    measured["source.cpu"] = statistics.mean([before.cpu_each, after.cpu_each]) * MICRO
    measured["source.rate"] = statistics.mean([before.rate, after.rate])
    return measured


def smtp_source(sink, letter, messages: int) -> Sent:
    """Send a finished message so often by Postfix's C program; connections are kept (-d)."""
    program = tools.program("usr/sbin/smtp-source")
    command = [program.path, "-d", "-s", str(sink.connections), "-F", str(letter.eml)]
    command += ["-f", "news@lists.example.org", "-t", "member@example.org"]
    target = f"127.0.0.1:{sink.port}"
    idle = child.run([*command, "-m", str(sink.connections), target], program.environment())
    busy = child.run([*command, "-m", str(messages), target], program.environment())
    return Sent.of(messages - sink.connections, busy, idle)


def _over_tls(bench) -> Measures:
    certificates = bench.folder / "certificates"
    certificates.mkdir(exist_ok=True)
    for file in certificates.iterdir():
        file.unlink()
    with ExitStack() as stack:
        sink = stack.enter_context(sinks.plain(bench.folder))
        tls = stack.enter_context(sinks.behind_tls(sink, certificates))
        house = bench.house(bench.plan.messages)
        here = stack.enter_context(product.copy(house, bench.folder, tls.url))
        return named("tls", here.send(bench.letter.issue))


def far(bench) -> Measures:
    plan = bench.plan
    with ExitStack() as stack:
        sink = stack.enter_context(sinks.plain(bench.folder))
        away = stack.enter_context(sinks.far_away(sink, ROUND_TRIP))
        source = smtp_source(away, bench.letter, plan.far)
        here = stack.enter_context(product.copy(bench.house(plan.few), bench.folder, away.url))
        ours = here.send(bench.letter.issue)
    return named("far source", source) | named("far", ours)


def away(bench) -> Measures:
    measured = {}
    for milliseconds in AWAY:
        click.echo(f"    {milliseconds} ms …")  # The last one alone takes two minutes.
        with (
            bench.opened(bench.plan.messages, "postgresql") as (here, _),
            far_database(here.database_url, milliseconds / MILLI) as url,
        ):
            sent = replace(here, database_url=url).send(bench.letter.issue)
        measured[f"away {milliseconds}.rate"] = sent.rate
    return measured


def scale(bench) -> Measures:
    plan = bench.plan
    few = bench.sent("few", plan.few, times=plan.times_few)
    return few | bench.sent("many", plan.many)


def first(bench) -> Measures:
    """The first message of an issue to many."""
    with bench.opened(bench.plan.many, is_counting=True) as (here, sink):
        return {"first.seconds": moments.first_message(here, sink, bench.letter.issue)}


def pages(bench) -> Measures:
    """The form, while issues go out."""
    measured = {}
    for database in ("sqlite", "postgresql"):
        with bench.opened(bench.plan.messages, database) as (here, _):
            for _ in range(bench.plan.times_few * 2):
                here.queue(bench.letter.issue)
            waits = sorted(requests.waits_while_sending(here, bench.plan.posts))
        measured[f"pages {database}.p50"] = statistics.median(waits) * MILLI
        measured[f"pages {database}.p99"] = waits[int(len(waits) * 0.99)] * MILLI
    return measured


def calls(bench) -> Measures:
    """System calls of each message: what three issues need beyond one; hellos cancel out."""
    counted = []
    for times in (1, 3):
        with bench.opened(bench.plan.traced) as (here, _):
            counted.append(moments.calls(here, bench.letter.issue, times))
    (sent, received), (all_sent, all_received) = counted
    messages = 2 * (bench.plan.traced + product.COPIES)
    return {
        "calls.sent": (all_sent - sent) / messages,
        "calls.received": (all_received - received) / messages,
    }


PARTS: dict[str, Part] = {
    "core": core,
    "far": far,
    "away": away,
    "scale": scale,
    "first": first,
    "pages": pages,
    "calls": calls,
}
