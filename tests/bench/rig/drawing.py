"""A drawing of the figures: CPU a message beside smtp-source, as SVG without a library."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from tests.bench.rig.figures import Round

BARS = (
    ("smtp-source (C, no books)", "source.cpu", "other"),
    ("Belong Mail, SQLite", "sqlite.cpu", "ours"),
    ("Belong Mail, PostgreSQL", "postgresql.cpu", "ours"),
    ("Belong Mail, over TLS", "tls.cpu", "ours"),
    ("nodemailer’s pool", "nodemailer.cpu", "other"),
    ("mlmmj", "mlmmj.cpu", "other"),
    ("GNU Mailman 3", "mailman.cpu", "other"),
)
LEFT, RIGHT, TOP, ROW, WIDTH = 220, 70, 64, 34, 740
ROOT = 'xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title about"'
LEGEND = "Logarithmic; shorter is better. The line spans the rounds."
STYLE = """\
text { font: 14px system-ui, sans-serif; fill: #1b2733 }
.head { font-size: 16px; font-weight: 600 }
.small { font-size: 12px; fill: #52606d }
.grid { stroke: #d5dce3 } .spread { stroke: #1b2733; stroke-width: 2 }
.ours { fill: #0b6e99 } .other { fill: #9aa5b1 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9fb0c0 } .grid { stroke: #33414e }
  .spread { stroke: #e6edf3 } .ours { fill: #4db8e6 } .other { fill: #66788a }
}"""


def draw(rounds: Sequence[Round]) -> str:
    """Draw the bars that were measured: median, with a line from the least to the most."""
    bars = [(name, kind, _ratios(rounds, key)) for name, key, kind in BARS]
    bars = [(name, kind, values) for name, kind, values in bars if values]
    top = max([10.0, *(max(values) for _, _, values in bars)])
    decades = math.ceil(math.log10(top)) + 1
    height = TOP + ROW * len(bars) + 34
    said = "; ".join(f"{name}: {_number(_median(values))}" for name, _, values in bars)
    parts = [
        f'<svg {ROOT} viewBox="0 0 {WIDTH} {height}">',
        '<title id="title">CPU a message, as a multiple of smtp-source</title>',
        f'<desc id="about">On a logarithmic scale, lower is better. {escape(said)}.</desc>',
        f"<style>{STYLE}</style>",
        '<text class="head" x="16" y="28">CPU a message, as a multiple of smtp-source</text>',
        f'<text class="small" x="16" y="48">{LEGEND}</text>',
    ]
    parts += _grid(decades, height)
    for number, (name, kind, values) in enumerate(bars):
        parts += _bar(TOP + ROW * number, name, kind, values, decades)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _ratios(rounds: Sequence[Round], key: str) -> list[float]:
    return sorted(
        each[key] / each["source.cpu"] for each in rounds if key in each and "source.cpu" in each
    )


def _median(values: Sequence[float]) -> float:
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def _x(value: float, decades: int) -> float:
    """Place a multiple: the axis begins at a tenth."""
    share = (math.log10(max(value, 0.1)) + 1) / decades
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _grid(decades: int, height: int) -> list[str]:
    lines = []
    for power in range(-1, decades):
        x = _x(10.0**power, decades)
        lines.append(f'<path class="grid" d="M{x:.1f} {TOP - 6}V{height - 28}"/>')
        label = f"{10.0**power:g}×"
        lines.append(
            f'<text class="small" x="{x:.1f}" y="{height - 10}" text-anchor="middle">{label}</text>'
        )
    return lines


def _bar(y: int, name: str, kind: str, values: Sequence[float], decades: int) -> list[str]:
    median, middle = _median(values), y + ROW / 2 - 2
    start, end = _x(0.1, decades), _x(median, decades)
    least, most = _x(values[0], decades), _x(values[-1], decades)
    return [
        f'<text x="{LEFT - 10}" y="{middle + 5}" text-anchor="end">{escape(name)}</text>',
        f'<rect class="{kind}" x="{start:.1f}" y="{y + 4}" width="{end - start:.1f}" height="20"/>',
        f'<path class="spread" d="M{least:.1f} {middle}H{most:.1f}"/>',
        f'<text x="{max(end, most) + 8:.1f}" y="{middle + 5}">{_number(median)}</text>',
    ]


def _number(value: float) -> str:
    return f"{value:.0f}×" if value >= 20 else f"{value:.2g}×"
