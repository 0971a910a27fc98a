"""The page about capacity: a table of what was measured."""

from collections.abc import Callable
from typing import Any

from tests.bench.rig.figures import put_between_marks
from tests.bench.rig.tools import ROOT

PAGE = ROOT / "docs" / "capacity.md"
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
Row = dict[str, Any]

# The lines of the table: its name, and how a run says it.
LINES: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("Worker, CPU seconds a million emails", lambda row: f"{row['worker_s']:.0f}"),
    ("Database server, CPU seconds a million emails", lambda row: _if(row, "database_s", ".0f")),
    ("Emails a second, one worker", lambda row: f"{row['rate']:,.0f}"),
    ("Memory of the worker at most, MB", lambda row: f"{row['peak_mb']:.0f}"),
    ("Database, MB a million members", lambda row: f"{row['member_octets']:.0f}"),
    ("Database, MB more a million deliveries", lambda row: f"{row['delivery_octets']:.0f}"),
    ("… of which retention gives back", lambda row: f"{row['purged_octets']:.0f}"),
    ("Written ahead (WAL), MB a million emails", lambda row: _if(row, "wal_octets", ".0f")),
    ("Retention, CPU seconds a million deliveries, command and server",
     lambda row: f"{row['purge_s'] + row['purge_database_s']:.0f}"),
    ("What `status` and /metrics ask, ms", lambda row: f"{row['metrics_ms']:.0f}"),
    ("A page, CPU ms, web and server", lambda row: _both(row, "page")),
    ("A sign-up form, CPU ms, web and server", lambda row: _both(row, "form")),
    ("… its reading and its email, CPU ms, worker and server",
     lambda row: _parts(row, ".1f", "read_worker_ms", "read_database_ms")),
    ("At rest, CPU seconds an hour, worker and server",
     lambda row: _parts(row, ".0f", "idle_worker", "idle_database", 3600)),
    ("At rest, memory in MB: worker, web of two processes",
     lambda row: f"{row['idle_worker_mb']:.0f} + {row['idle_web_mb']:.0f}"),
    ("… connections to the server", lambda row: _if(row, "idle_connections", ".0f")),
    ("Pages a second of one web host on these cores", lambda row: f"{row['page.rate']:.0f}"),
    ("Forms a second of one web host on these cores", lambda row: f"{row['form.rate']:.0f}"),
)  # fmt: skip


def write_page(measured: dict[str, Any]) -> None:
    """Put the table between the two marks of the page."""
    about = measured["about"]
    said = (
        f"Measured on {about['at'][:10]}: {about['cores']} cores, {about['system']}, Python"
        f" {about['python']}; one run."
    )
    put_between_marks(PAGE, f"{said}\n\n{as_markdown(measured['rows'])}")


def as_markdown(rows: list[Row]) -> str:
    """Return a table with a column for each database and number of members."""
    rows = sorted(rows, key=lambda row: (row["database"] != "sqlite", row["members"]))
    heads = [f"{NAMES[row['database']]}, {row['members']:,}" for row in rows]
    lines = [f"| members of the issue | {' | '.join(heads)} |"]
    lines.append("| --- |" + " --: |" * len(rows))
    for name, say in LINES:
        lines.append(f"| {name} | {' | '.join(_said(say, row) for row in rows)} |")
    return "\n".join(lines)


def _said(say: Callable[[Row], str], row: Row) -> str:
    """Say what a run measured; nothing of what it did not."""
    try:
        return say(row)
    except KeyError:
        return "–"


def _if(row: Row, key: str, how: str) -> str:
    return format(row[key], how) if row["database"] != "sqlite" else "–"


def _both(row: Row, name: str) -> str:
    return _parts(row, ".1f", f"{name}.web_ms", f"{name}.database_ms")


def _parts(row: Row, how: str, ours: str, server: str, times: int = 1) -> str:
    """Say what our process and the server took; SQLite has none."""
    both = [format(row[key] * times, how) for key in (ours, server)]
    return both[0] if row["database"] == "sqlite" else " + ".join(both)
