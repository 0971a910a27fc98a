"""The page about capacity: a table of what was measured, and a drawing of how it grows."""

import math
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from tests.bench.rig.drawing import ROOT as SVG
from tests.bench.rig.drawing import STYLE
from tests.bench.rig.tools import ROOT

PAGE, PICTURE = ROOT / "docs" / "capacity.md", ROOT / "docs" / "capacity.svg"
BEGIN, END = "<!-- figures: written by the bench -->", "<!-- end of figures -->"
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
LEFT, TOP, WIDTH, HEIGHT = 70, 70, 740, 330
COLORS = {"worker_s": "ours", "database_s": "other"}


def write_page(measured: dict[str, Any]) -> None:
    """Put table and drawing between the two marks of the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    about = measured["about"]
    said = (
        f"Measured on {about['at'][:10]}: {about['cores']} cores, {about['system']}, Python"
        f" {about['python']}; one run."
    )
    table, alt = as_markdown(measured["rows"]), "CPU seconds a million emails, by members"
    image = f"![{alt}]({PICTURE.name})"
    PAGE.write_text(f"{before}{BEGIN}\n\n{image}\n\n{said}\n\n{table}\n\n{END}{after}")
    PICTURE.write_text(draw(measured["rows"]))


def as_markdown(rows: list[Row]) -> str:
    """Return a table with a column for each database and number of members."""
    rows = sorted(rows, key=lambda row: (row["database"] != "sqlite", row["members"]))
    heads = [f"{NAMES[row['database']]}, {row['members']:,}" for row in rows]
    lines = [f"| members of the issue | {' | '.join(heads)} |"]
    lines.append("| --- |" + " --: |" * len(rows))
    for name, say in LINES:
        lines.append(f"| {name} | {' | '.join(_said(say, row) for row in rows)} |")
    return "\n".join(lines)


def draw(rows: list[Row]) -> str:
    """Draw the CPU of a million emails over the number of members: worker, and server beside it."""
    most = max(row["worker_s"] + row["database_s"] for row in rows)
    top = math.ceil(most / 50) * 50
    sizes = sorted({row["members"] for row in rows})
    said = "; ".join(
        f"{NAMES[row['database']]}, {row['members']:,} members: worker {row['worker_s']:.0f} s,"
        f" server {row['database_s']:.0f} s"
        for row in rows
    )
    parts = [
        f'<svg {SVG} viewBox="0 0 {WIDTH} {HEIGHT}">',
        '<title id="title">CPU seconds a million emails, by members of the issue</title>',
        f'<desc id="about">{escape(said)}.</desc>',
        f"<style>{STYLE}</style>",
        '<text class="head" x="16" y="28">CPU seconds a million emails</text>',
        '<text class="small" x="16" y="48">Colored: the worker. Gray: the database server.</text>',
    ]
    for step in range(0, top + 1, 50):
        y = _y(step, top)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - 20}"/>')
        parts.append(
            f'<text class="small" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{step}</text>'
        )
    wide = (WIDTH - LEFT - 20) / len(sizes)
    for place, members in enumerate(sizes):
        middle = LEFT + wide * (place + 0.5)
        parts.append(
            f'<text class="small" x="{middle:.1f}" y="{HEIGHT - 12}" text-anchor="middle">'
            f"{members:,} members</text>"
        )
        for row in (row for row in rows if row["members"] == members):
            parts += _bar(row, middle + (-66 if row["database"] == "sqlite" else 6), top)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar(row: Row, x: float, top: int) -> list[str]:
    """Draw worker and server of one run on top of each other."""
    both, bars, done = row["worker_s"] + row["database_s"], [], 0.0
    for key, kind in COLORS.items():
        y, height = _y(done + row[key], top), _y(done, top) - _y(done + row[key], top)
        bars.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="60" height="{height:.1f}"/>'
        )
        done += row[key]
    middle, name = x + 30, NAMES[row["database"]]
    bars.append(f'<text class="small" x="{middle:.1f}" y="{_y(both, top) - 6:.1f}"'
                f' text-anchor="middle">{both:.0f}</text>')  # fmt: skip
    bars.append(f'<text class="small" x="{middle:.1f}" y="{HEIGHT - 30}"'
                f' text-anchor="middle">{name}</text>')  # fmt: skip
    return bars


def _y(value: float, top: int) -> float:
    low = HEIGHT - 46
    return low - (low - TOP) * value / top


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
