"""Marks for tests."""

import pytest

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What does not touch the database's ways is tried on one of the two."""
