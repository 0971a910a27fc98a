"""Marks for tests."""

from collections.abc import Sequence
from itertools import product

import pytest


def on_both(why: str) -> pytest.MarkDecorator:
    """Run on PostgreSQL for each change as well, because its ways differ here from SQLite's.

    All else is repeated on PostgreSQL at night.
    """
    return pytest.mark.on_both(why)


def night(why: str) -> pytest.MarkDecorator:
    """Leave it for the night; the last lines of a run count what was left by why."""
    return pytest.mark.night(why)


def one_by_day(why: str, *, of: str = "") -> pytest.MarkDecorator:
    """Run one case for each change, or one for each value of a parameter; the rest at night."""
    return pytest.mark.one_by_day(why, of=of)


# Tests that are not even at night repeated on the other.
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

# The worker does its periodic tasks at its first turn: retention, alerts, reminders, counts.
periodic_tasks = pytest.mark.periodic_tasks

# The operator has an address for alerts.
OPERATOR = "operator@example.org"
alerted = pytest.mark.parametrize("settings", [{"BELONG_ALERT_ADDRESS": OPERATOR}])

# One mail leaves after the other, in the order of the deliveries.
one_connection = pytest.mark.one_connection


def in_turn(
    first: Sequence[object], second: Sequence[object], third: Sequence[object]
) -> list[tuple[object, object, object]]:
    """Pair all of two, and go through the third in turn: any two values meet."""
    pairs = product(enumerate(first), enumerate(second))
    return [(one, two, third[(i + j) % len(third)]) for (i, one), (j, two) in pairs]
