"""QR codes as one SVG path, with the quiet zone that readers need."""

from collections.abc import Iterable
from dataclasses import dataclass

import segno

QUIET = 4
"""Modules of white on each side (ISO/IEC 18004, 9.1)."""


@dataclass(frozen=True, slots=True)
class Code:
    """A QR code: its width and height in modules, quiet zone included, and its dark outline."""

    size: int
    path: str


def code_of(text: str) -> Code:
    """Draw a text's QR code (ISO/IEC 18004), readable with 15 percent of it damaged (level M)."""
    rows = list(segno.make(text, error="m", micro=False).matrix_iter(border=QUIET))
    runs = [run for y, row in enumerate(rows) for run in _dark_runs(row, y)]
    return Code(len(rows), "".join(f"M{x} {y}h{length}v1h-{length}z" for x, y, length in runs))


def _dark_runs(row: Iterable[int], y: int) -> list[tuple[int, int, int]]:
    """List a row's stretches of dark modules: where each begins, and how long it is."""
    runs: list[tuple[int, int, int]] = []
    for x, is_dark in enumerate(row):
        if is_dark and runs and sum(runs[-1][::2]) == x:
            runs[-1] = (runs[-1][0], y, runs[-1][2] + 1)
        elif is_dark:
            runs.append((x, y, 1))
    return runs
