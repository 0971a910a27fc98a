"""How fast and how small the sending is, beside another sender, in one run on one machine."""

import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tests.bench.rig import figures, rounds, tools
from tests.bench.rig.child import Failed
from tests.postgres import postgresql

# Rounds below which nothing is written into the documents.
ENOUGH = 5
PAGE = tools.ROOT / "docs" / "performance.md"


@click.command()
@click.option("--rounds", "number", default=ENOUGH, type=click.IntRange(1), show_default=True)
@click.option(
    "--quick", is_flag=True, help="A few messages: does it run? Its figures mean nothing."
)
@click.option(
    "--only", default="", help=f"Some parts, such as core,far: {', '.join(rounds.PARTS)}."
)
@click.option("--write-docs", is_flag=True, help="Put the table into docs/, if all went well.")
@click.option("--folder", type=click.Path(path_type=Path), default=tools.FOLDER, hidden=True)
def main(number: int, only: str, folder: Path, *, quick: bool, write_docs: bool) -> None:
    """Measure the delivery of newsletters beside smtp-source."""
    if write_docs and (quick or number < ENOUGH):
        raise click.UsageError(f"The documents take {ENOUGH} whole rounds.")
    parts = _chosen(only or ",".join(rounds.PARTS), rounds.PARTS)
    plan = rounds.QUICK if quick else rounds.FULL
    trouble: dict[str, str] = {}
    measured: list[dict[str, float]] = []
    about = machine()
    with own_folder(folder) as place, postgresql() as url:
        click.echo("Writing the letter …")
        bench = rounds.prepare(place, plan, url)
        about["octets"] = bench.letter.octets
        for each in range(number):
            click.echo(f"Round {each + 1} of {number}")
            measured.append(_round(bench, parts, trouble))
            about |= {"protections": bench.protections, "trouble": trouble}
            kept = {"about": about, "rounds": measured}
            (folder / "delivery.json").write_text(json.dumps(kept, indent=2))
    click.echo(f"\n{figures.as_markdown(measured)}\n")
    complaints = [f"{name}: {words}" for name, words in trouble.items()]
    complaints += [
        f"The {name} was not at work: these are not the figures of what is shipped."
        for name, is_on in bench.protections.items()
        if not is_on
    ]
    click.echo("\n".join(complaints))
    if write_docs and not complaints:
        _write_page(measured, about)
    sys.exit(1 if complaints else 0)


def _round(
    bench: rounds.Bench, parts: tuple[str, ...], trouble: dict[str, str]
) -> dict[str, float]:
    """Measure each part once; one that cannot be measured says why and does not stop the rest."""
    measured: dict[str, float] = {}
    for name in parts:
        click.echo(f"  {name} …")
        try:
            measured |= rounds.PARTS[name](bench)
        except (tools.NotHere, Failed, OSError) as error:
            trouble[name] = str(error)
            click.echo(f"  {error}", err=True)
    return measured


def _write_page(measured: list[dict[str, float]], about: dict[str, Any]) -> None:
    said = (
        f"Measured on {about['at'][:10]}: {about['cores']} cores, {about['system']}, Python"
        f" {about['python']}; {len(measured)} rounds; {about['octets']:,} octets a message."
    )
    figures.put_between_marks(PAGE, f"{said}\n\n{figures.as_markdown(measured)}")


def _chosen(names: str, known: Any) -> tuple[str, ...]:
    chosen = tuple(name.strip() for name in names.split(","))
    if strange := [name for name in chosen if name not in known]:
        raise click.UsageError(f"There is no {', '.join(strange)}; there is {', '.join(known)}.")
    return chosen


def machine() -> dict[str, Any]:
    """Say when and where something is measured."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


@contextmanager
def own_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder for houses and sinks; it is removed in the end."""
    place = folder / f"run-{os.getpid()}"
    place.mkdir(parents=True)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    try:
        main(prog_name="dev.py bench delivery")
    except (tools.NotHere, Failed) as error:
        sys.exit(str(error))
