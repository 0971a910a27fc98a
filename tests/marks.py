"""Marks for tests."""

import pytest

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What does not touch the database's ways is tried on one of the two."""

one_connection = pytest.mark.one_connection
"""One mail leaves after the other, in the order of the deliveries."""
