"""Measure an installation's use for a million emails, pages and sign-ups, and its growth."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from sqlalchemy import make_url
from sqlalchemy.orm import Session

from belong_mail.core.db import now
from belong_mail.monitoring.checks import exposition
from belong_mail.monitoring.measures import Site
from config import Config
from tests.bench.delivery import machine, own_folder
from tests.bench.rig import child, product, requests, rounds, server, sinks, tools
from tests.bench.rig.capacity_page import PAGE, write_page
from tests.bench.rig.product import GROUP, House
from tests.postgres import postgresql
from tests.processes import flask, wait_until_served
from tests.servers.ports import free_port

DATABASES = "sqlite", "postgresql"
SIZES = "10000,100000,1000000"
MEGABYTE = 1_000_000
# Days that pass before what has been kept long enough goes.
LATER = 500
# Seconds for which a worker and a web rest; they begin in a third of that.
RESTING = 60.0
WAITING = "SELECT count(*) FROM jobs"


@dataclass(frozen=True, slots=True)
class Work:
    """How many pages and forms are asked for, and for how many seconds nothing is."""

    requests: int
    rest: float


@click.command()
@click.option("--sizes", default=SIZES, show_default=True, help="Members of an issue.")
@click.option("--only", default=",".join(DATABASES), show_default=True, help="Databases.")
@click.option("--requests", "asked", default=2000, show_default=True, help="Pages, and forms.")
@click.option("--rest", default=RESTING, show_default=True, help="Seconds without work.")
@click.option("--folder", type=click.Path(path_type=Path), default=tools.FOLDER, hidden=True)
@click.option("--write-docs", is_flag=True, help="Put the figures into docs/capacity.md.")
@click.option("--again", is_flag=True, help="Measure nothing: write the last run's figures.")
def main(
    sizes: str, only: str, asked: int, rest: float, folder: Path, *, write_docs: bool, again: bool
) -> None:  # fmt: skip
    """Measure what emails, pages, forms and retention use, on both databases, by size."""
    file = folder / "capacity.json"
    if not again:
        with own_folder(folder) as place:
            numbers = [int(each) for each in sizes.split(",")]
            _measure_all(place, file, only.split(","), numbers, Work(asked, rest))
    if write_docs or again:
        write_page(json.loads(file.read_text()))
        click.echo(f"{PAGE.name} is written.")


def _measure_all(
    place: Path, file: Path, databases: list[str], sizes: list[int], work: Work
) -> None:
    """Measure one size after the other, and keep what is there after each."""
    issue = rounds.prepare(place, rounds.QUICK, "", is_exact=True).letter.issue
    rows: list[dict[str, object]] = []
    for members in sizes:
        for database in databases:
            click.echo(f"{database}, {members:,} members …")
            folder = place / f"{database}-{members}"
            folder.mkdir()
            with _url(database, folder) as url:
                row = _measure(url, folder, members, work, issue)
            rows.append({"database": database, "members": members, **row})
            file.write_text(json.dumps({"about": machine(), "rows": rows}, indent=1))
            click.echo(json.dumps(row))
            shutil.rmtree(folder)


def _measure(url: str, folder: Path, members: int, work: Work, issue: Path) -> dict[str, float]:
    """Measure one installation with so many members, from its first member to its last rows."""
    house = product.build(1, folder, url)
    empty = server.size(url)
    made = house.command("demo", "--group", GROUP, "--members", str(members - 1))
    house.members = members
    row = {"member_octets": (server.size(url) - empty) / members, "made_s": made.seconds}
    with sinks.plain(folder) as sink:
        house.smtp_url = sink.url
        row |= _send(house, issue, members)
        row |= _serve(house, work.requests)
        row |= _rest(house, work.rest)
        row["metrics_ms"] = _metrics(house)
    return row | _retire(house, members)


def _send(house: House, issue: Path, members: int) -> dict[str, float]:
    """Send one issue to all by one worker; CPU in seconds a million."""
    url = house.database_url
    before = server.size(url), server.wal(url), server.cpu(url)
    sent = house.send(issue)
    after = server.size(url), server.wal(url), server.cpu(url)
    size, wal, cpu = (late - early for early, late in zip(before, after, strict=True))
    return {
        "worker_s": sent.cpu_each * 1e6,
        "database_s": cpu / sent.messages * 1e6,
        "rate": sent.rate,
        "delivery_octets": size / members,
        "wal_octets": wal / members,
        "written_octets": sent.written / members,
        "peak_mb": sent.peak / MEGABYTE,
    }


def _serve(house: House, asked: int) -> dict[str, float]:
    """Ask for pages, send forms, and have a worker read some of them and email the links."""
    url = house.database_url
    start = house.command("worker", "--drain")
    pages, forms = requests.pages_and_forms(house, asked)
    waiting, before = server.ask(url, WAITING), server.cpu(url)
    reading = house.command("worker", "--drain")
    read = waiting - server.ask(url, WAITING)
    if not read:
        raise child.Failed("The worker has read no form.")
    return {
        **pages.measures("page"),
        **forms.measures("form"),
        "read": read,
        "read_worker_ms": (reading.cpu - start.cpu) / read * 1e3,
        "read_database_ms": (server.cpu(url) - before) / read * 1e3,
    }


def _rest(house: House, seconds: float) -> dict[str, float]:
    """Let a web and a worker wait for work: what each installation costs when nobody comes."""
    url, port = house.database_url, free_port()
    # A late read of the worker would count as rest.
    server.order(url, "DELETE FROM jobs")
    serving = child.running(flask("web", "--port", str(port)), house.env())
    with child.running(flask("worker"), house.env()) as worker, serving as web:
        wait_until_served(port)
        time.sleep(seconds / 3)
        before = child.cpu_of(worker.pid), server.cpu_of_tree(web.pid), server.cpu(url)
        time.sleep(seconds)
        after = child.cpu_of(worker.pid), server.cpu_of_tree(web.pid), server.cpu(url)
        memory = server.memory_of_tree(worker.pid), server.memory_of_tree(web.pid)
        connections = server.connections(url)
    spent = [(late - early) / seconds for early, late in zip(before, after, strict=True)]
    return {
        "idle_worker": spent[0],
        "idle_web": spent[1],
        "idle_database": spent[2],
        "idle_connections": connections,
        "idle_worker_mb": memory[0] / MEGABYTE,
        "idle_web_mb": memory[1] / MEGABYTE,
    }


def _metrics(house: House) -> float:
    """Return how long /metrics, `status` and `doctor` look at the database: the best of three."""
    took, settings = [], Config.read(house.settings)
    with product.engine_of(house.database_url) as engine, Session(engine) as session:
        for _ in range(3):
            began = time.perf_counter()
            exposition(Site(session, settings, now()))
            took.append(time.perf_counter() - began)
    return min(took) * 1e3


def _retire(house: House, members: int) -> dict[str, float]:
    """Let months pass, purge, and have the database give back its room."""
    url = house.database_url
    for column in ("created_at", "finished_at", "due_at"):
        server.order(url, server.earlier(url, "deliveries", column, LATER))
    for column in ("changed_at", "due_at", "queued_at"):
        server.order(url, server.earlier(url, "newsletters", column, LATER))
    room = "VACUUM" if url.startswith("sqlite") else "VACUUM FULL"
    server.order(url, room)
    before, busy = server.size(url), server.cpu(url)
    purged = house.command("purge")
    busy = server.cpu(url) - busy
    start = house.command("purge")
    server.order(url, room)
    return {
        "purge_s": (purged.cpu - start.cpu) / members * 1e6,
        "purge_database_s": busy / members * 1e6,
        "purged_octets": (before - server.size(url)) / members,
        "kept_mb": server.size(url) / MEGABYTE,
    }


@contextmanager
def _url(database: str, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database; PostgreSQL waits for its disk, as it is shipped."""
    if database == "sqlite":
        yield f"sqlite:///{folder / 'belong.db'}"
        return
    with postgresql() as url:
        server.order(url, f"ALTER DATABASE {make_url(url).database} SET synchronous_commit = on")
        yield url


if __name__ == "__main__":
    try:
        main()
    except (child.Failed, tools.NotHere) as error:
        raise SystemExit(str(error)) from None
