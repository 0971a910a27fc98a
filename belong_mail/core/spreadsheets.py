"""Write files for spreadsheets."""

import csv
import io
from collections.abc import Iterable
from typing import Final

# Characters that begin a formula in a spreadsheet.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def as_csv(rows: Iterable[Iterable[str]]) -> str:
    """Write a file for a spreadsheet; no cell of it is taken for a formula."""
    written = io.StringIO()
    csv.writer(written).writerows([_harmless(cell) for cell in row] for row in rows)
    # The mark by which Excel reads UTF-8.
    return "\ufeff" + written.getvalue()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell
