"""Pieces of texts, to find whether one holds a piece of another."""

# Octets; two rows that have so many in common could be joined by them.
COMMON = 8


def windows_of(row: tuple[object, ...]) -> set[bytes]:
    """Return what stands in a row's cells of bytes, without their head that names the key."""
    cells = [cell[16:] for cell in row if isinstance(cell, bytes)]
    return {cell[at : at + COMMON] for cell in cells for at in range(len(cell) - COMMON + 1)}
